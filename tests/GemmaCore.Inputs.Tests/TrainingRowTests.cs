using System.Text.Json;
using GemmaCore.Testing;

namespace GemmaCore.Inputs.Tests;

public sealed class TrainingRowTests
{
    private static readonly PromptEncoder Encoder = PromptEncoder.Load(Goldens.DemoPath("model"));

    [Theory]
    [InlineData("training/all_linear_r8.json")]
    [InlineData("training/text_only_r4.json")]
    public void Training_rows_come_out_of_the_embedded_data(string golden)
    {
        using var file = JsonDocument.Parse(File.ReadAllBytes(Goldens.Path(golden)));
        JsonElement[] rows = [.. file.RootElement.GetProperty("rows").EnumerateArray()];
        Assert.Equal(40, rows.Length);
        foreach (JsonElement row in rows)
        {
            string image = row.GetProperty("image").GetString()!;
            (string question, string answer) = QuestionOf(image);
            int[] promptIds = Ids(row, "prompt_ids"), answerIds = Ids(row, "answer_ids");
            ChatMessage user = new(ChatRole.User, [new ImagePart(ImageSource.FromFile(Goldens.DemoPath("data/" + image))), new TextPart(question)]);

            Assert.Equal(promptIds, Encoder.Encode([user], addGenerationPrompt: true).Ids);
            Assert.Equal(answerIds, Encoder.EncodeAnswer(answer));
            TrainingPrompt whole = Encoder.EncodeConversation([user, ChatMessage.FromText(ChatRole.Assistant, answer)]);
            Assert.Equal([.. promptIds, .. answerIds, Encoder.Tokenizer.IdOf("\n")], whole.Prompt.Ids);
            Assert.Equal(answerIds, whole.Prompt.Ids.Where((_, position) => whole.IsAnswer[position]));
        }
    }

    [Fact]
    public void Greedy_prompts_come_out_of_their_questions()
    {
        using var file = JsonDocument.Parse(File.ReadAllBytes(Goldens.Path("model/greedy.json")));
        foreach (JsonElement row in file.RootElement.EnumerateArray())
        {
            Prompt prompt = row.TryGetProperty("prompt", out JsonElement raw)
                ? Encoder.EncodeText(raw.GetString()!, [])
                : Encoder.Encode([Question(row)], addGenerationPrompt: true);

            Assert.Equal(Ids(row, "prompt_ids"), prompt.Ids);
            int[] tokens = Ids(row, "tokens");
            Assert.Equal(row.GetProperty("text").GetString(), Encoder.Tokenizer.Decode(tokens, skipSpecialTokens: true));
        }
    }

    [Fact]
    public void Every_assistant_turn_of_a_conversation_is_an_answer()
    {
        TrainingPrompt whole = Encoder.EncodeConversation(
        [
            ChatMessage.FromText(ChatRole.System, "Be brief."), ChatMessage.FromText(ChatRole.User, "a"), ChatMessage.FromText(ChatRole.Assistant, " b\n"),
            ChatMessage.FromText(ChatRole.User, "c"), ChatMessage.FromText(ChatRole.Assistant, "d"),
        ]);
        int[] answers = [.. whole.Prompt.Ids.Where((_, position) => whole.IsAnswer[position])];

        Assert.Equal("b<end_of_turn>d<end_of_turn>", Encoder.Tokenizer.Decode(answers, skipSpecialTokens: false));
        Assert.Equal(whole.Prompt.Ids.Length, whole.IsAnswer.Length);
    }

    private static ChatMessage Question(JsonElement row) => new(ChatRole.User,
        [new ImagePart(ImageSource.FromFile(Goldens.DemoPath("data/" + row.GetProperty("image").GetString()))), new TextPart(row.GetProperty("question").GetString()!)]);

    private static (string Question, string Answer) QuestionOf(string image)
    {
        string folder = Path.GetDirectoryName(Path.GetDirectoryName(Goldens.DemoPath("data/" + image)))!;
        using var questions = JsonDocument.Parse(File.ReadAllBytes(Directory.GetFiles(folder, "*_questions_*.json").Single()));
        JsonElement row = questions.RootElement.EnumerateArray().Single(candidate => image.EndsWith("/" + candidate.GetProperty("ImageName").GetString(), StringComparison.Ordinal));
        return (row.GetProperty("Question").GetString()!, row.GetProperty("Answer").GetString()!);
    }

    private static int[] Ids(JsonElement row, string name) => [.. row.GetProperty(name).EnumerateArray().Select(id => id.GetInt32())];
}
