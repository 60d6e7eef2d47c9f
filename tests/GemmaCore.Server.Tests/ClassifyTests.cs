using System.Net;
using System.Text.Json;
using GemmaCore.Generation;
using GemmaCore.Inputs;

namespace GemmaCore.Server.Tests;

public sealed class ClassifyTests(SharedServer shared) : IClassFixture<SharedServer>
{
    private const string Question = "Is the border of this lesion regular?";

    private RunningServer Server => shared.Server;

    [Fact]
    public async Task Labels_get_the_log_probabilities_that_the_model_gives_them()
    {
        string[] labels = ["no lesion", "a lesion", "A"];
        (HttpStatusCode status, JsonElement reply) = await Server.PostAsync("/v1/classify", Body("""["no lesion","a lesion","A"]"""));
        Assert.Equal(HttpStatusCode.OK, status);
        IReadOnlyList<LabelScore> expected = Server.Direct.Score(
            [(Server.Direct.Prompts.Encode([new ChatMessage(ChatRole.User, [new ImagePart(ImageSource.FromFile(RunningServer.Picture("colon"))), new TextPart(Question)])], true), labels)],
            cancellation: TestContext.Current.CancellationToken)[0];
        JsonElement choice = reply.GetProperty("data")[0];
        Assert.Equal(expected.Select(score => (score.Label, score.Logprob, score.Probability)), choice.GetProperty("labels").EnumerateArray().Select(
            label => (label.GetProperty("label").GetString()!, label.GetProperty("logprob").GetDouble(), label.GetProperty("prob").GetDouble())));
        Assert.Equal(expected.MaxBy(score => score.Logprob)!.Label, choice.GetProperty("label").GetString());
        Assert.Equal((3, 3), (choice.GetProperty("num_classes").GetInt32(), choice.GetProperty("probs").GetArrayLength()));
        Assert.Equal(0, reply.GetProperty("usage").GetProperty("completion_tokens").GetInt32());

        // The end of the answer counts only when asked for.
        (_, JsonElement whole) = await Server.PostAsync("/v1/classify", Body("""["no lesion","a lesion","A"]""", ""","whole_answer":true"""));
        Assert.All(whole.GetProperty("data")[0].GetProperty("labels").EnumerateArray().Zip(expected), pair => Assert.True(pair.First.GetProperty("logprob").GetDouble() < pair.Second.Logprob));
    }

    [Fact]
    public async Task One_label_alone_gets_the_bits_that_it_gets_beside_others()
    {
        IReadOnlyList<LabelScore> Direct(params string[] labels) => Server.Direct.Score(
            [(Server.Direct.Prompts.Encode([new ChatMessage(ChatRole.User, [new TextPart("What?")])], true), labels)], cancellation: TestContext.Current.CancellationToken)[0];
        (_, JsonElement reply) = await Server.PostAsync("/v1/classify", """{"messages":[{"role":"user","content":"What?"}],"labels":["yes"]}""");
        double served = reply.GetProperty("data")[0].GetProperty("labels")[0].GetProperty("logprob").GetDouble();
        Assert.Equal(Direct("yes")[0].Logprob, served);
        Assert.Equal(Direct("yes", "no lesion")[0].Logprob, served);
    }

    [Theory]
    [InlineData("[]", "labels")]
    [InlineData("null", "labels")]
    [InlineData("\"A\"", "labels")]
    [InlineData("[\"A\",\"A\"]", "labels")]
    [InlineData("[\"A\",\"\"]", "labels")]
    [InlineData("[\"A\",7]", "labels[1]")]
    public async Task Labels_that_make_no_sense_are_refused(string labels, string param)
    {
        (HttpStatusCode status, JsonElement reply) = await Server.PostAsync("/v1/classify", Body(labels));
        Assert.Equal((HttpStatusCode.BadRequest, param), (status, reply.GetProperty("error").GetProperty("param").GetString()));
    }

    private static string Body(string labels, string more = "") =>
        $$$"""
        {"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"{{{RunningServer.DataUrl(File.ReadAllBytes(RunningServer.Picture("colon")))}}}"}},
        {"type":"text","text":"{{{Question}}}"}]}],"labels":{{{labels}}}{{{more}}}}
        """;
}
