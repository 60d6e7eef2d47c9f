using System.Text;
using GemmaCore.Generation;
using GemmaCore.Server;
using GemmaCore.Testing;
using Microsoft.Extensions.Logging;

namespace GemmaCore.Proof;

/// <summary>
/// A server over the embedded model under many clients at once: questions with and without pictures, whole and streamed, with adapters and seeds, answers of a form, calls of
/// tools, label scores, addresses that are not fetched, clients that leave in the middle, and damaged bodies. Every answer must be the one that its request gets alone.
/// </summary>
internal static class LoadTest
{
    public static async Task<int> RunAsync(int seconds, int clients, int seed)
    {
        Circumstances.Print($"tools/load_test.sh {seconds} {clients} {seed}");
        IReadOnlyList<LoadQuestion> questions = await LoadQuestions.AllAsync().ConfigureAwait(false);
        var options = new ServerOptions { Port = 0, MaxWaitingTokens = 1 << 20, CacheBytes = 32 << 20, AllowedImageHosts = [LoadQuestions.ImageHost] };
        using var counts = new LoadCounts();
        using var served = new ServedModel(
            LoadQuestions.ModelName, GemmaModel.Load(Goldens.DemoPath("model")), new Dictionary<string, string> { [LoadQuestions.AdapterName] = Goldens.Path(LoadQuestions.AdapterFolder) }, options);
        await using GemmaServer server = await GemmaServer.StartAsync(served, logging => logging.AddProvider(counts)).ConfigureAwait(false);
        using var http = new HttpClient(new SocketsHttpHandler { MaxConnectionsPerServer = 4096 }) { BaseAddress = new Uri(server.Url), Timeout = TimeSpan.FromMinutes(5) };
        var memory = new MemorySlope();
        using var end = new CancellationTokenSource(TimeSpan.FromSeconds(seconds));
        Task watch = memory.WatchAsync(end.Token);
        await Task.WhenAll(Enumerable.Range(0, clients).Select(client => RunClientAsync(http, questions, new Random((seed * 1000) + client), counts, end.Token))).ConfigureAwait(false);
        await watch.ConfigureAwait(false);
        LoopStatus status = served.Loop.Status;
        counts.Print();
        memory.Print();
        Console.WriteLine(
            $"\n{status.Steps} steps, {status.PrefixHits} of {status.PrefixQueries} prompt tokens from the prefix cache, {(status.StepSeconds - status.PassSeconds) / status.StepSeconds:P2} of the steps outside the model; "
            + $"at the end {status.Running} under way, {status.Waiting} waiting, {status.CacheBytes} bytes of keys and values, {status.PrefixBytes} kept for later.");
        bool left = status is not { Running: 0, Waiting: 0, CacheBytes: 0 };
        await server.StopAsync().ConfigureAwait(false);
        return counts.Wrong.IsEmpty && counts.Unhandled.IsEmpty && !left && served.Loop.Fault is null && !memory.Leaks ? 0 : 1;
    }

    // Until the time is over, then to the end of the last answer.
    private static async Task RunClientAsync(HttpClient http, IReadOnlyList<LoadQuestion> questions, Random random, LoadCounts counts, CancellationToken end)
    {
        while (!end.IsCancellationRequested)
        {
            LoadQuestion question = questions[random.Next(questions.Count)];
            bool stream = question.Streams && random.Next(2) == 0;
            string body = question.Body(stream);
            try
            {
                switch (random.Next(10))
                {
                    case < 6:
                        await AskAsync(http, question, body, stream, counts).ConfigureAwait(false);
                        break;
                    case < 8:
                        await LeaveAsync(http, question, body, random.Next(1, 60), counts).ConfigureAwait(false);
                        break;
                    default:
                        await DamageAsync(http, question, body, random, counts).ConfigureAwait(false);
                        break;
                }
            }
            catch (Exception error) // whatever it is, it was not to happen
            {
                counts.Unhandled.Add(error.ToString());
            }
        }
    }

    private static async Task AskAsync(HttpClient http, LoadQuestion question, string body, bool stream, LoadCounts counts)
    {
        using HttpResponseMessage response = await PostAsync(http, question, body, CancellationToken.None).ConfigureAwait(false);
        string reply = await response.Content.ReadAsStringAsync().ConfigureAwait(false);
        int status = (int)response.StatusCode;
        if (status == 429) Interlocked.Increment(ref counts.Busy);
        else if (status >= 500) counts.Unhandled.Add($"{status} to a sound request: {reply}");
        else if (question.AnswerOf(status, reply, stream) is var answer && answer == question.Expected) counts.Right.AddOrUpdate(question.Kind, 1, (_, count) => count + 1);
        else counts.Wrong.Add($"{question.Kind}, {question.Path}, {body[..Math.Min(200, body.Length)]}: {answer} instead of {question.Expected}");
    }

    private static async Task LeaveAsync(HttpClient http, LoadQuestion question, string body, int milliseconds, LoadCounts counts)
    {
        using var leaving = new CancellationTokenSource(milliseconds);
        try
        {
            using HttpResponseMessage response = await PostAsync(http, question, body, leaving.Token).ConfigureAwait(false);
            await response.Content.ReadAsStringAsync(leaving.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            Interlocked.Increment(ref counts.Left);
        }
    }

    // Bytes changed, taken out or cut off: often still a request, then any answer will do, but never a failure of the server.
    private static async Task DamageAsync(HttpClient http, LoadQuestion question, string body, Random random, LoadCounts counts)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(body);
        for (int i = random.Next(1, 4); i > 0; i--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
        if (random.Next(3) == 0) bytes = bytes[..random.Next(bytes.Length)];
        using var content = new ByteArrayContent(bytes);
        content.Headers.ContentType = new("application/json");
        using HttpResponseMessage response = await http.PostAsync(new Uri(question.Path, UriKind.Relative), content).ConfigureAwait(false);
        string reply = await response.Content.ReadAsStringAsync().ConfigureAwait(false);
        if ((int)response.StatusCode >= 500) counts.Unhandled.Add($"{(int)response.StatusCode} to a damaged request: {reply}");
        else if (response.IsSuccessStatusCode) Interlocked.Increment(ref counts.StillSound);
        else Interlocked.Increment(ref counts.Refused);
    }

    private static Task<HttpResponseMessage> PostAsync(HttpClient http, LoadQuestion question, string body, CancellationToken cancellation)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, question.Path) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        return http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
    }
}
