using System.CommandLine;
using GemmaCore.Cuda;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Tensors;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore verify</c>: how near a device, its arithmetic and a quantisation come to fp32 on the CPU, and for the embedded model to transformers.</summary>
internal static class VerifyCommand
{
    private const int UsualTokens = 64;

    private static readonly string[] UsualQuestions = ["What are the signs of a fracture on a radiograph?", "Name three causes of a swollen knee, one on each line."];

    private const string UsualPictureQuestion = "Describe the findings in this chest X-ray.";

    // Travels with the program.
    private static string UsualPicture => Path.Combine(ModelLocation.Demo, "data/validation-public/Xray/phantom_chest/imagesVal/phantom_chest_0000.jpg");

    public static Command Create()
    {
        var command = new Command("verify", """
            Compare a device, its arithmetic and quantised weights with fp32 on the CPU. The CPU answers with weights as stored; the logits of every token
            of its answer, and the answer that the same options give by themselves, are held against it. The embedded model is also held against transformers.

            Examples:
              gemmacore verify demo
              gemmacore verify demo --quantize nf4 --json
            """);
        var model = new ModelOptions();
        var prompts = new Option<string[]>("--prompt") { Description = "question to compare on; may be repeated; two about medicine and one about a picture where not given" };
        var images = new Option<string[]>("--image") { Description = "picture shown before each question; may be repeated" };
        var tokens = new Option<int>("--tokens") { Description = "tokens of an answer to compare", DefaultValueFactory = _ => UsualTokens };
        var json = new Option<bool>("--json") { Description = "print one JSON document" };
        model.AddTo(command);
        foreach (Option option in (Option[])[prompts, images, tokens, json]) command.Add(option);
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(tokens) < 1) throw new UsageException("--tokens: expected 1 or more");
            if (parsed.GetValue(images) is { Length: > 0 } && parsed.GetValue(prompts) is not { Length: > 0 }) throw new UsageException("--image goes with --prompt");
            string name = parsed.GetValue(model.Model)!;
            using GemmaModel measured = model.Load(parsed);
            bool isStored = model.FormatOf(parsed) == WeightFormat.AsStored && ModelOptions.HeadFormatOf(parsed.GetValue(model.QuantizeHead)!) == WeightFormat.AsStored && measured.Model.KvType == DType.F32;
            bool isReference = isStored && measured.Model.Device is CpuDevice, isKnown = name == "demo" && parsed.GetValue(model.Adapter) is not { Length: > 0 };
            if (isReference && !isKnown)
                throw new UsageException("the CPU with weights as stored is what others are compared with; say what to compare: --device cuda, --quantize, --quantize-head or --kv-cache-dtype");
            GoldenAnswers.Result? golden = isKnown ? GoldenAnswers.Compare(measured) : null;
            using GemmaModel? reference = isReference ? null : Reference(parsed, model, name);
            (string, Fidelity)[] found = reference is null ? [] :
            [
                .. Questions(parsed.GetValue(prompts) ?? [], parsed.GetValue(images) ?? [], measured.Prompts.TakesImages).Select(question =>
                    (question.Text, Fidelity.Measure(reference, measured, measured.Prompts.Encode([question.Message], addGenerationPrompt: true), parsed.GetValue(tokens), Edge.Interrupted))),
            ];
            Device device = measured.Model.Device;
            bool isExact = isStored && device is CpuDevice or CudaDevice { Precision: CudaPrecision.Float32 };
            string weights = $"weights {parsed.GetValue(model.Quantize)!.Replace("none", "as stored", StringComparison.Ordinal)}, head {parsed.GetValue(model.QuantizeHead)!.Replace("none", "as stored", StringComparison.Ordinal)}, keys and values {parsed.GetValue(model.KvType)}";
            var report = new VerifyReport(name, device.Name, device.PrecisionPath, weights, isExact, golden, found);
            if (parsed.GetValue(json)) Console.WriteLine(report.ToJson().ToJsonString());
            else report.Write();
            return report.Holds ? 0 : 1;
        });
        return command;
    }

    private static GemmaModel Reference(ParseResult parsed, ModelOptions options, string name)
    {
        GemmaModel model = GemmaModel.Load(ModelLocation.Resolve(name), new CpuDevice(EnvironmentVariables.Threads));
        try
        {
            foreach (string folder in parsed.GetValue(options.Adapter) ?? []) model.LoadAdapter(folder);
            return model;
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    private static IEnumerable<(string Text, ChatMessage Message)> Questions(string[] texts, string[] images, bool takesImages)
    {
        if (texts.Length > 0) return texts.Select(text => Question(text, images));
        IEnumerable<(string, ChatMessage)> usual = UsualQuestions.Select(text => Question(text, []));
        return takesImages ? usual.Append(Question(UsualPictureQuestion, [UsualPicture])) : usual;
    }

    private static (string Text, ChatMessage Message) Question(string text, string[] images) =>
        (text, new ChatMessage(ChatRole.User, [.. images.Select(file => new ImagePart(ImageSource.FromFile(ShippedFile.Locate(file)))), new TextPart(text)]));
}
