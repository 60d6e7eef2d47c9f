using System.Diagnostics;
using System.Globalization;
using GemmaCore.Bench;
using GemmaCore.Generation;
using GemmaCore.Models;
using GemmaCore.Server;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Proof.Serving;

/// <summary>
/// <c>proof serve [MODEL] [prompt=N] [tokens=N] [clients=N] [rounds=N] [seconds=N] [load=SHARE]</c>: the server over HTTP on loopback. One client against several, by
/// turns; then requests that come at random (Poisson), at a share of what the several got through; then, where the model sees, a second question about a picture.
/// MODEL is a folder, a preset (random weights) or demo.
/// </summary>
internal static class ServingSpeed
{
    private static readonly string RealTokenizer = Goldens.RepositoryPath("../shared/fixtures/gemma3-tokenizer");

    public static async Task<int> RunAsync(string[] args)
    {
        string place = args.FirstOrDefault(arg => !arg.Contains('=', StringComparison.Ordinal)) ?? "demo";
        int Number(string name, int usual) => args.FirstOrDefault(arg => arg.StartsWith(name + "=", StringComparison.Ordinal)) is { } given
            ? int.Parse(given[(name.Length + 1)..], CultureInfo.InvariantCulture) : usual;
        int clients = Number("clients", 8), rounds = Number("rounds", 3), seconds = Number("seconds", 60), load = Number("load", 70);
        var shape = new RequestShape(Number("prompt", 64), Number("tokens", 64));
        if (Folder(place) is not { } folder) return 2;
        using var device = new CpuDevice(0);
        MachinePeaks peaks = MachinePeaks.Measure(device);
        using var served = new ServedModel(place, GemmaModel.Load(folder), new Dictionary<string, string>(), new ServerOptions { Port = 0 });
        await using GemmaServer server = await GemmaServer.StartAsync(served);
        using var client = new LoadClient(server.Url, served.Model.Model.Layout.VocabularySize);

        Console.WriteLine($"{peaks}\n\n{place}, prompts of {shape.PromptTokens} tokens, answers of {shape.AnswerTokens}, over HTTP on loopback\n");
        await client.AskAsync(shape); // compiled
        var alone = new List<double>();
        var together = new List<double>();
        for (int round = 0; round < rounds; round++)
        {
            alone.Add(await RateAsync(client, 1, 2, shape));
            together.Add(await RateAsync(client, clients, 2, shape));
        }

        Console.WriteLine("| answers | tokens/s: min | median | max |\n|---|---:|---:|---:|");
        Row("1 client", alone);
        Row($"{clients} clients", together);
        Row($"ratio of {clients} to 1, round by round", [.. alone.Zip(together, (one, many) => many / one)]);

        double rate = load / 100.0 * Median(together) / shape.AnswerTokens;
        LoopStatus before = served.Loop.Status;
        PoissonLoad poisson = await PoissonLoad.RunAsync(client, rate, seconds, shape);
        LoopStatus after = served.Loop.Status;
        Console.WriteLine($"\nPoisson arrivals, {rate:F2} requests/s ({load} % of what {clients} clients got through) for {seconds} s: {poisson.Answers.Count} answered\n");
        Console.WriteLine("| milliseconds | p50 | p95 | p99 |\n|---|---:|---:|---:|");
        Percentiles("to the first token", poisson.Answers.Select(answer => answer.FirstToken));
        Percentiles("between tokens", poisson.Answers.SelectMany(answer => answer.Gaps));
        Percentiles("to the last token", poisson.Answers.Select(answer => answer.Whole));
        double steps = after.Steps - before.Steps, inSteps = after.StepSeconds - before.StepSeconds, outside = inSteps - (after.PassSeconds - before.PassSeconds);
        Console.WriteLine($"\nScheduler: {outside / steps * 1e6:F0} µs of {inSteps / steps * 1e3:F2} ms a step, {outside / inSteps:P2}, over {steps:F0} steps");
        if (served.Prompts.TakesImages) await AskAboutPicturesAsync(client, rounds);
        await server.StopAsync();
        return 0;
    }

    // What the first question about a picture has computed is there for the second.
    private static async Task AskAboutPicturesAsync(LoadClient client, int pictures)
    {
        var first = new List<double>();
        var second = new List<double>();
        for (int i = 0; i < pictures; i++)
        {
            string file = Goldens.DemoPath($"data/validation-public/Xray/phantom_chest/imagesVal/phantom_chest_{i:0000}.jpg");
            first.Add(await client.AskAboutPictureAsync(file, "Describe the findings in this chest X-ray."));
            second.Add(await client.AskAboutPictureAsync(file, "Is there a nodule?"));
        }

        Console.WriteLine("\n| milliseconds to the first token | min | median | max |\n|---|---:|---:|---:|");
        Row("first question about a picture", first);
        Row("second question", second);
        Row("ratio of first to second", [.. first.Zip(second, (one, other) => one / other)]);
    }

    // Tokens of whole requests per second of the clock, every client with so many requests one after the other.
    private static async Task<double> RateAsync(LoadClient client, int clients, int requests, RequestShape shape)
    {
        long start = Stopwatch.GetTimestamp();
        await Task.WhenAll(Enumerable.Range(0, clients).Select(async _ =>
        {
            for (int i = 0; i < requests; i++) await client.AskAsync(shape);
        }));
        return clients * requests * shape.AnswerTokens / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    // A preset's weights are random and its tokenizer is Gemma's own, which this repository does not ship.
    private static string? Folder(string place)
    {
        if (place == "demo") return Goldens.DemoPath("model");
        if (Directory.Exists(place)) return place;
        if (ModelPreset.Find(place) is not { } preset)
        {
            Console.Error.WriteLine($"proof serve: {place}: neither a folder nor a preset; presets: {string.Join(", ", ModelPreset.Names)}");
            return null;
        }

        if (!Directory.Exists(RealTokenizer))
        {
            Console.Error.WriteLine("proof serve: a preset needs Gemma's tokenizer in ../shared/fixtures/gemma3-tokenizer; give a model folder instead");
            return null;
        }

        string folder = Path.Combine(Path.GetTempPath(), "gemmacore-proof-serve-" + place);
        if (!File.Exists(Path.Combine(folder, "config.json"))) RandomCheckpoint.Write(preset, folder, 1, DType.BF16);
        if (place == "medgemma-4b")
        {
            const string usual = "{\"size\": {\"height\": 896, \"width\": 896}, \"image_mean\": [0.5, 0.5, 0.5], \"image_std\": [0.5, 0.5, 0.5], \"image_seq_length\": 256}";
            File.WriteAllText(Path.Combine(folder, "preprocessor_config.json"), usual);
        }

        foreach (string file in Directory.EnumerateFiles(RealTokenizer, "*.json")) File.Copy(file, Path.Combine(folder, Path.GetFileName(file)), overwrite: true);
        return folder;
    }

    private static void Row(string what, List<double> values) => Console.WriteLine($"| {what} | {values.Min():F2} | {Median(values):F2} | {values.Max():F2} |");

    private static void Percentiles(string what, IEnumerable<double> milliseconds)
    {
        double[] sorted = [.. milliseconds.Order()];
        double At(double share) => sorted.Length == 0 ? double.NaN : sorted[(int)Math.Ceiling(share * sorted.Length) - 1];
        Console.WriteLine($"| {what} | {At(0.5):F1} | {At(0.95):F1} | {At(0.99):F1} |");
    }

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);
}
