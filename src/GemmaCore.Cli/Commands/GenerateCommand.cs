using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using GemmaCore.Generation;
using GemmaCore.Inputs;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore generate</c>: one answer.</summary>
internal static class GenerateCommand
{
    public static Command Create()
    {
        var command = new Command("generate", """
            Answer one prompt, streamed.

            Examples:
              gemmacore generate demo --prompt "How many cells are in this image?" --image demo/data/validation-public/Microscopy/phantom_cells/imagesVal/phantom_cells_0000.jpg
              gemmacore generate demo --prompt "Is there a polyp?" --image demo/data/validation-public/Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg --choice yes --choice no --json
            """);
        var model = new ModelOptions();
        var sampling = new SamplingOptions();
        var constraint = new ConstraintOptions();
        var prompt = new Option<string>("--prompt") { Description = "the question", Required = true };
        var images = new Option<string[]>("--image") { Description = "picture shown before the question, DICOM included; may be repeated" };
        var view = new PictureOptions(single: true);
        var cuts = new CutOptions(single: true);
        var raw = new Option<bool>("--raw") { Description = "use the prompt as it is, without the chat template" };
        var json = new Option<bool>("--json") { Description = "print one JSON document" };
        model.AddTo(command);
        command.Add(prompt);
        command.Add(images);
        view.AddTo(command);
        cuts.AddTo(command);
        command.Add(raw);
        sampling.AddTo(command);
        constraint.AddTo(command);
        command.Add(json);
        command.SetAction(parsed =>
        {
            long start = Stopwatch.GetTimestamp();
            GreyWindow? window = view.Window(parsed);
            PictureCut? cut = cuts.Read(parsed);
            model.Pictures(parsed, new PictureSettings()).Check(cut);
            IReadOnlyList<ImageSource> sources = [.. view.Sources(parsed, parsed.GetValue(images) ?? []).Select(source => cuts.Part(parsed, source))];
            if (sources.Count == 0 && (cut is not null || cuts.HasPart(parsed))) throw new UsageException("--tiles, --crops, --region and --magnification are about pictures; give one with --image");
            ContentPart[] volumes = [.. view.Volumes(parsed, cut is not null)];
            if ((volumes.Length > 0 || cut is not null) && parsed.GetValue(raw)) throw new UsageException("--volume, --tiles and --crops go with the chat template, not with --raw");
            ContentPart[] pictures = [.. volumes, .. sources.SelectMany(source => cut?.Parts(source, window) ?? [new ImagePart(source)])];
            using GemmaModel loaded = model.Load(parsed);
            CutOptions.RequireRoom(loaded, pictures);
            PromptEncoder prompts = loaded.Prompts with { Window = window };
            Prompt encoded = parsed.GetValue(raw)
                ? prompts.EncodeText(parsed.GetValue(prompt)!, sources)
                : prompts.Encode([new ChatMessage(ChatRole.User, [.. pictures, new TextPart(parsed.GetValue(prompt)!)])], addGenerationPrompt: true);
            SamplingParams parameters = sampling.Read(parsed, loaded.DefaultSampling()) with { Constraint = constraint.Read(parsed, loaded.Constraints) };
            double loadSeconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            bool asJson = parsed.GetValue(json);
            var printer = new AnswerPrinter();
            GenerationResult result = loaded.Generate([(encoded, parameters)], asJson ? null : (_, token) => printer.Print(token.Text), Edge.Interrupted)[0];
            if (asJson) Console.WriteLine(Document(result, loaded.Prompts.Tokenizer, loadSeconds).ToJsonString());
            else printer.End();
            return 0;
        });
        return command;
    }

    // A model's head may have more rows than its tokenizer has tokens.
    private static string Spell(Tokenizer tokenizer, int id) => id < tokenizer.VocabularySize ? tokenizer.TokenOf(id) : "";

    private static JsonObject Document(GenerationResult result, Tokenizer tokenizer, double loadSeconds)
    {
        JsonObject document = Answered(result, tokenizer, loadSeconds);
        if (result.Thought is { Length: > 0 } thought) document.Insert(1, "reasoning", thought);
        return document;
    }

    private static JsonObject Answered(GenerationResult result, Tokenizer tokenizer, double loadSeconds) => new()
    {
        ["text"] = result.Answer,
        ["tokens"] = new JsonArray([.. result.Tokens.Select(token => (JsonNode)token.Id)]),
        ["finish_reason"] = result.FinishReason switch { FinishReason.Stop => "stop", FinishReason.Length => "length", _ => "cancelled" },
        ["logprobs"] = new JsonArray([.. result.Tokens.Where(token => !float.IsNaN(token.Logprob)).Select(token => (JsonNode)new JsonObject
        {
            ["id"] = token.Id,
            ["token"] = Spell(tokenizer, token.Id),
            ["logprob"] = token.Logprob,
            ["top"] = new JsonArray([.. token.Top.Select(top => (JsonNode)new JsonObject
            {
                ["id"] = top.Id,
                ["token"] = Spell(tokenizer, top.Id),
                ["logprob"] = top.Logprob,
            })]),
        })]),
        ["usage"] = new JsonObject
        {
            ["prompt_tokens"] = result.PromptTokenCount,
            ["completion_tokens"] = result.Tokens.Count,
            ["image_tokens"] = result.ImageTokenCount,
        },
        ["timing"] = new JsonObject { ["load_s"] = loadSeconds, ["prefill_s"] = result.PrefillSeconds, ["decode_s"] = result.DecodeSeconds },
    };
}
