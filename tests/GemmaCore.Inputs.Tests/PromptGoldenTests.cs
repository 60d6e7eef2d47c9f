using System.Text.Json;
using GemmaCore.Testing;

namespace GemmaCore.Inputs.Tests;

public sealed class PromptGoldenTests
{
    private const string Topic = "chat template";
    private static readonly ImageSource Picture = ImageSource.FromFile(Goldens.Path("images/rgb_37x53.png"));
    private static readonly PromptEncoder Embedded = PromptEncoder.Load(Goldens.DemoPath("model"));

    [Fact]
    public void Chat_goldens_of_the_embedded_model()
    {
        int refused = 0, rendered = 0;
        foreach (JsonElement row in Rows(Goldens.Path("chat/tiny.json")))
        {
            List<ChatMessage> messages = Messages(row);
            bool addGenerationPrompt = row.GetProperty("add_generation_prompt").GetBoolean();
            if (row.TryGetProperty("error", out _))
            {
                refused += Record.Exception(() => Embedded.Encode(messages, addGenerationPrompt)) is InputException ? 1 : 0;
                continue;
            }

            if (row.GetProperty("rendered").GetString() == ChatTemplate.Gemma3.Render(messages, addGenerationPrompt)
                && IdsEqual(row, Embedded.Encode(messages, addGenerationPrompt), Embedded)) rendered++;
        }

        Parity.ReportExact(Topic, "chat/tiny.json", "conversations: text and ids", rendered, 24);
        Parity.ReportExact(Topic, "chat/tiny.json", "conversations to refuse", refused, 4);
        Assert.Equal((4, 24), (refused, rendered));
    }

    [Fact]
    public void Chat_goldens_of_the_real_gemma_tokenizer()
    {
        Assert.SkipUnless(Goldens.Exists(Goldens.SharedPath("gemma3-tokenizer/tokenizer.json")), "the real Gemma 3 tokenizer is not beside the clone");
        string folder = Directory.CreateTempSubdirectory("gemmacore-real-tokenizer").FullName;
        try
        {
            foreach (string file in (string[])["tokenizer.json", "tokenizer_config.json"])
                File.CreateSymbolicLink(Path.Combine(folder, file), Path.GetFullPath(Goldens.SharedPath("gemma3-tokenizer/" + file)));
            File.WriteAllText(Path.Combine(folder, "config.json"),
                """{"model_type": "gemma3", "vision_config": {"image_size": 896, "patch_size": 14}}""");
            File.WriteAllText(Path.Combine(folder, "preprocessor_config.json"),
                """{"size": {"height": 896, "width": 896}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5], "image_seq_length": 256}""");
            PromptEncoder encoder = PromptEncoder.Load(folder);
            int equal = 0;
            JsonElement[] rows = Rows(Goldens.SharedPath("chat/gemma3.json"));
            foreach (JsonElement row in rows)
                equal += IdsEqual(row, encoder.Encode(Messages(row), row.GetProperty("add_generation_prompt").GetBoolean()), encoder) ? 1 : 0;
            Assert.Equal(0, Parity.ReportExact(Topic, "chat/gemma3.json", "ids of conversations", equal, rows.Length));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static bool IdsEqual(JsonElement row, Prompt prompt, PromptEncoder encoder)
    {
        int[] golden = [.. row.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
        if (!prompt.Ids.SequenceEqual(golden)) return false;
        Assert.Equal(golden.Count(id => id == encoder.ImageTokenId), prompt.ImageTokenCount);
        Assert.Equal(prompt.Images.Count, prompt.ImageSpans.Count);
        foreach (ImageSpan span in prompt.ImageSpans)
            Assert.All(golden[span.Start..(span.Start + span.Length)], id => Assert.Equal(encoder.ImageTokenId, id));
        return true;
    }

    private static JsonElement[] Rows(string path) => [.. JsonDocument.Parse(File.ReadAllBytes(path)).RootElement.EnumerateArray()];

    private static List<ChatMessage> Messages(JsonElement row) => [.. row.GetProperty("messages").EnumerateArray().Select(Message)];

    private static ChatMessage Message(JsonElement message)
    {
        ChatRole role = message.GetProperty("role").GetString() switch { "system" => ChatRole.System, "user" => ChatRole.User, _ => ChatRole.Assistant };
        JsonElement content = message.GetProperty("content");
        if (content.ValueKind == JsonValueKind.String) return ChatMessage.FromText(role, content.GetString()!);
        return new ChatMessage(role, [.. content.EnumerateArray().Select(Part)]);
    }

    private static ContentPart Part(JsonElement part) =>
        part.GetProperty("type").GetString() == "image" ? new ImagePart(Picture) : new TextPart(part.GetProperty("text").GetString()!);
}
