using GemmaCore.Generation;
using GemmaCore.Inputs;
using GemmaCore.Models.Lora;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using Microsoft.Extensions.AI;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;
using ChatRole = Microsoft.Extensions.AI.ChatRole;
using OurMessage = GemmaCore.Inputs.ChatMessage;
using OurRole = GemmaCore.Inputs.ChatRole;

namespace GemmaCore.Extensions.AI.Tests;

/// <summary>The embedded model as a chat client, and a second copy of it to compare answers with.</summary>
public sealed class LoadedClient : IDisposable
{
    public const string AdapterName = "few";

    public const string Question = "Describe the endoscopic finding.";

    public GemmaChatClient Client { get; } = GemmaChatClient.Load(
        Goldens.DemoPath("model"), new Dictionary<string, string> { [AdapterName] = Goldens.Path("adapters/qv_list_r4") }, new CpuDevice(1));

    public GemmaModel Direct { get; } = GemmaModel.Load(Goldens.DemoPath("model"), 1);

    public static string Picture => Goldens.DemoPath("data/validation-public/Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg");

    public static ChatOptions Greedy => new() { Temperature = 0, MaxOutputTokens = 24 };

    /// <summary>The question about the picture, in the forms of Microsoft.Extensions.AI.</summary>
    public static ChatMessage Asked => new(ChatRole.User, [new DataContent(File.ReadAllBytes(Picture), "image/jpeg"), new TextContent(Question)]);

    public static OurMessage Ours => new(OurRole.User, [new ImagePart(ImageSource.FromFile(Picture)), new TextPart(Question)]);

    public GenerationResult Expect(SamplingParams parameters, params OurMessage[] messages) =>
        Direct.Generate([(Direct.Prompts.Encode(messages, addGenerationPrompt: true), parameters)], null, TestContext.Current.CancellationToken)[0];

    public GenerationResult ExpectAdapted(SamplingParams parameters, params OurMessage[] messages)
    {
        LoraAdapter adapter = Direct.LoadAdapter(Goldens.Path("adapters/qv_list_r4"));
        try
        {
            return Expect(parameters, messages);
        }
        finally
        {
            Direct.RemoveAdapter(adapter);
        }
    }

    public void Dispose()
    {
        Client.Dispose();
        Direct.Dispose();
    }
}
