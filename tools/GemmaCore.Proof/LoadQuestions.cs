using System.Text;
using System.Text.Json.Nodes;
using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Models.Lora;
using GemmaCore.Server;
using GemmaCore.Testing;

namespace GemmaCore.Proof;

/// <summary>
/// What the load test asks. Texts and pictures are answered beforehand by a model of their own, without a server; answers of a form, calls of tools, label scores and
/// refusals by a server that has one request at a time and no prefix cache.
/// </summary>
internal static class LoadQuestions
{
    public const string ModelName = "demo", AdapterName = "few", AdapterFolder = "adapters/qv_list_r4";

    /// <summary>The host that pictures may be fetched from: one whose address is inside, so that every fetch ends in a refusal, and nothing leaves the machine.</summary>
    public const string ImageHost = "localhost:9";

    private static readonly string[] Texts = ["What is a lesion?", "Describe the finding.", "How many cells are in this image?", "Is the border of this lesion regular? Options: A: regular B: irregular"];

    private static readonly string[] Pictures =
    [
        "Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg", "Retinography/phantom_retina/imagesVal/phantom_retina_0000.jpg", "Microscopy/phantom_cells/imagesVal/phantom_cells_0000.jpg",
    ];

    // What goes beside the messages; JSON, because that is what it is on the wire.
    private static readonly string[] Forms =
    [
        """{"structured_outputs":{"choice":["yes","no","no lesion"]}}""", """{"structured_outputs":{"regex":"[A-D](, [A-D]){0,3}"}}""", """{"response_format":{"type":"json_object"}}""",
        """{"response_format":{"type":"json_schema","json_schema":{"name":"finding","schema":{"type":"object","properties":{"lesion":{"type":"boolean"},"site":{"enum":["left","right"]},"count":{"type":"integer","minimum":0,"maximum":20}},"required":["lesion","site","count"],"additionalProperties":false}}}}""",
    ];

    private const string Tools =
        """[{"type":"function","function":{"name":"show_slice","description":"Shows a slice.","parameters":{"type":"object","properties":{"series":{"type":"string","maxLength":6},"slice":{"type":"integer","minimum":1,"maximum":300}},"required":["series","slice"],"additionalProperties":false}}},{"type":"function","function":{"name":"stop"}}]""";

    private static readonly string[] Choices = ["\"required\"", """{"type":"function","function":{"name":"show_slice"}}""", "\"auto\"", "\"none\""];

    private static readonly string[] Labels = ["""{"labels":["yes","no"]}""", """{"labels":["A","B","C","D"]}""", """{"labels":["no lesion","a lesion","a"],"whole_answer":true}"""];

    public static async Task<IReadOnlyList<LoadQuestion>> AllAsync()
    {
        List<LoadQuestion> questions = [.. Free()];
        List<LoadQuestion> others = [];
        for (int i = 0; i < 8; i++)
        {
            others.Add(Other("answers of a form", LoadQuestion.Chat, i, Forms[i % Forms.Length], Drawn(i, i >= 4)));
            others.Add(Other("calls of tools", LoadQuestion.Chat, i, $"{{\"tools\":{Tools},\"tool_choice\":{Choices[i % Choices.Length]}}}", Drawn(i, i >= 4)));
            if (i < 6) others.Add(Other("label scores", LoadQuestion.Classify, i, Labels[i % Labels.Length]));
        }

        foreach (string url in (string[])["https://images.example/a.png", "http://127.0.0.1:9/a.png", "file:///etc/passwd", $"https://{ImageHost}/a.png"])
            others.AddRange(from path in (string[])[LoadQuestion.Chat, LoadQuestion.Classify] select Remote(path, url));
        questions.AddRange(await AnsweredAloneAsync(others).ConfigureAwait(false));
        return questions;
    }

    private static string Drawn(int i, bool drawn) => $"{{\"max_tokens\":60,\"temperature\":{(drawn ? 1 : 0)},\"top_k\":{(drawn ? 20 : 0)},\"top_p\":1,\"seed\":{i}}}";

    // No picture, one or two; the base and an adapter; greedy and drawn with a seed.
    private static IEnumerable<LoadQuestion> Free()
    {
        using GemmaModel direct = GemmaModel.Load(Goldens.DemoPath("model"));
        LoraAdapter adapter = direct.LoadChoice(Goldens.Path(AdapterFolder));
        using var loop = new RequestLoop(direct, new BatchLimits { MaxSequences = 1 }, long.MaxValue);
        for (int i = 0; i < 48; i++)
        {
            string[] files = [.. Pictures.Skip(i % 3).Take(i / 4 % 3).Select(FileOf)];
            bool adapted = i % 5 == 0, drawn = i % 3 == 0;
            var parameters = new SamplingParams { MaxTokens = 8 + (i % 4 * 12), Temperature = drawn ? 1 : 0, Seed = (ulong)i, TopK = drawn ? 20 : 0, IgnoreEos = i % 7 == 0 };
            string text = Texts[i % Texts.Length];
            Prompt prompt = direct.Prompts.Encode([new ChatMessage(ChatRole.User, [.. files.Select(file => new ImagePart(ImageSource.FromFile(file))), new TextPart(text)])], true);
            GenerationResult result = loop.Submit(new GenerationRequest(prompt, parameters) { Adapter = adapted ? adapter : null }, CancellationToken.None).Result.GetAwaiter().GetResult();
            var fields = new Dictionary<string, object>
            {
                ["model"] = adapted ? AdapterName : ModelName, ["messages"] = Messages(text, files.Select(DataUrl)), ["max_tokens"] = parameters.MaxTokens, ["temperature"] = parameters.Temperature,
                ["top_k"] = parameters.TopK, ["top_p"] = 1, ["seed"] = parameters.Seed, ["ignore_eos"] = parameters.IgnoreEos,
            };
            yield return new LoadQuestion("texts and pictures", LoadQuestion.Chat, fields, $"{result.Text} ({(result.FinishReason == FinishReason.Stop ? "stop" : "length")})");
        }
    }

    private static LoadQuestion Other(string kind, string path, int i, params string[] more) =>
        Make(kind, path, i % 3 == 0 ? AdapterName : ModelName, Messages(Texts[i % Texts.Length], Pictures.Skip(i % 3).Take(i % 2).Select(picture => DataUrl(FileOf(picture)))), more);

    private static LoadQuestion Remote(string path, string url) =>
        Make("refused addresses of images", path, ModelName, Messages("What?", [url]), path == LoadQuestion.Classify ? Labels[0] : "{}");

    private static LoadQuestion Make(string kind, string path, string model, object[] messages, params string[] more)
    {
        var fields = new Dictionary<string, object> { ["model"] = model, ["messages"] = messages };
        foreach (string part in more)
            foreach ((string name, JsonNode? value) in JsonNode.Parse(part)!.AsObject()) fields[name] = value!.DeepClone();
        return new LoadQuestion(kind, path, fields, "");
    }

    private static object[] Messages(string text, IEnumerable<string> urls) =>
        [new { role = "user", content = (object[])[.. urls.Select(url => (object)new { type = "image_url", image_url = new { url } }), new { type = "text", text }] }];

    private static string FileOf(string picture) => Goldens.DemoPath("data/validation-public/" + picture);

    private static string DataUrl(string file) => $"data:image/jpeg;base64,{Convert.ToBase64String(File.ReadAllBytes(file))}";

    private static async Task<List<LoadQuestion>> AnsweredAloneAsync(List<LoadQuestion> questions)
    {
        var options = new ServerOptions { Port = 0, MaxSequences = 1, PrefixCache = false, AllowedImageHosts = [ImageHost] };
        using var served = new ServedModel(ModelName, GemmaModel.Load(Goldens.DemoPath("model")), new Dictionary<string, string> { [AdapterName] = Goldens.Path(AdapterFolder) }, options);
        await using GemmaServer server = await GemmaServer.StartAsync(served).ConfigureAwait(false);
        using var http = new HttpClient { BaseAddress = new Uri(server.Url) };
        List<LoadQuestion> answered = [];
        foreach (LoadQuestion question in questions)
        {
            using var content = new StringContent(question.Body(stream: false), Encoding.UTF8, "application/json");
            using HttpResponseMessage response = await http.PostAsync(new Uri(question.Path, UriKind.Relative), content).ConfigureAwait(false);
            string reply = await response.Content.ReadAsStringAsync().ConfigureAwait(false);
            // What is refused has to be: an expectation that everything fails would be met by a server that does.
            bool isRefusal = question.Kind.StartsWith("refused", StringComparison.Ordinal);
            if ((int)response.StatusCode != (isRefusal ? 400 : 200)) throw new InvalidOperationException($"{question.Kind}, alone: {(int)response.StatusCode} {reply}");
            answered.Add(question with { Expected = question.AnswerOf((int)response.StatusCode, reply, stream: false) });
        }

        await server.StopAsync().ConfigureAwait(false);
        return answered;
    }
}
