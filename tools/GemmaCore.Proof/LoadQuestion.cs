using System.Text;
using System.Text.Json;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Models.Lora;
using GemmaCore.Testing;

namespace GemmaCore.Proof;

/// <summary>A request of the load test, and the answer that it gets when it is alone.</summary>
/// <param name="Fields">The body but for <c>stream</c>.</param>
/// <param name="Expected">The text.</param>
internal sealed record LoadQuestion(Dictionary<string, object> Fields, string Expected)
{
    public const string ModelName = "demo";

    private static readonly string[] Texts = ["What is a lesion?", "Describe the finding.", "How many cells are in this image?", "Is the border of this lesion regular? Options: A: regular B: irregular"];

    private static readonly string[] Pictures =
    [
        "Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg", "Retinography/phantom_retina/imagesVal/phantom_retina_0000.jpg", "Microscopy/phantom_cells/imagesVal/phantom_cells_0000.jpg",
    ];

    public string Body(bool stream) => JsonSerializer.Serialize(new Dictionary<string, object>(Fields) { ["stream"] = stream });

    /// <summary>Texts with no picture, one and two; the base and an adapter; greedy and drawn with a seed. Answers come from a model of its own, one at a time.</summary>
    public static IReadOnlyList<LoadQuestion> All(string model, string adapterName, string adapterFolder)
    {
        using GemmaModel direct = GemmaModel.Load(model);
        LoraAdapter adapter = direct.LoadChoice(adapterFolder);
        using var loop = new RequestLoop(direct, new BatchLimits { MaxSequences = 1 }, long.MaxValue);
        var questions = new List<LoadQuestion>();
        for (int i = 0; i < 48; i++)
        {
            string[] pictures = [.. Pictures.Skip(i % 3).Take(i / 4 % 3)];
            bool adapted = i % 5 == 0, drawn = i % 3 == 0;
            var parameters = new SamplingParams { MaxTokens = 8 + (i % 4 * 12), Temperature = drawn ? 1 : 0, Seed = (ulong)i, TopK = drawn ? 20 : 0, IgnoreEos = i % 7 == 0 };
            questions.Add(Make(direct, loop, Texts[i % Texts.Length], pictures, parameters, adapted ? adapter : null, adapted ? adapterName : ModelName));
        }

        return questions;
    }

    /// <summary>The text of a reply, whole or streamed.</summary>
    public static string TextOf(string reply, bool stream)
    {
        if (!stream) return JsonDocument.Parse(reply).RootElement.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString()!;
        var text = new StringBuilder();
        foreach (string line in reply.Split('\n'))
        {
            if (!line.StartsWith("data: {", StringComparison.Ordinal)) continue;
            JsonElement chunk = JsonDocument.Parse(line[6..]).RootElement;
            if (!chunk.TryGetProperty("choices", out JsonElement choices)) return line; // an error in the stream is the wrong answer
            if (choices.GetArrayLength() > 0 && choices[0].GetProperty("delta").TryGetProperty("content", out JsonElement content)) text.Append(content.GetString());
        }

        return text.ToString();
    }

    private static LoadQuestion Make(GemmaModel direct, RequestLoop loop, string text, string[] pictures, SamplingParams parameters, LoraAdapter? adapter, string name)
    {
        string[] files = [.. pictures.Select(picture => Goldens.DemoPath("data/validation-public/" + picture))];
        Prompt prompt = direct.Prompts.Encode([new ChatMessage(ChatRole.User, [.. files.Select(file => new ImagePart(ImageSource.FromFile(file))), new TextPart(text)])], true);
        string expected = loop.Submit(new GenerationRequest(prompt, parameters) { Adapter = adapter }, CancellationToken.None).Result.GetAwaiter().GetResult().Text;
        object[] content =
        [
            .. files.Select(file => (object)new { type = "image_url", image_url = new { url = $"data:image/jpeg;base64,{Convert.ToBase64String(File.ReadAllBytes(file))}" } }),
            new { type = "text", text },
        ];
        return new LoadQuestion(
            new Dictionary<string, object>
            {
                ["model"] = name, ["messages"] = new object[] { new { role = "user", content } }, ["max_tokens"] = parameters.MaxTokens, ["temperature"] = parameters.Temperature,
                ["top_k"] = parameters.TopK, ["top_p"] = 1, ["seed"] = parameters.Seed, ["ignore_eos"] = parameters.IgnoreEos,
            },
            expected);
    }
}
