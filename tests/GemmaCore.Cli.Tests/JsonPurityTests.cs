using System.Text.Json;
using System.Text.Json.Nodes;
using GemmaCore.Testing;

namespace GemmaCore.Cli.Tests;

public sealed class JsonPurityTests
{
    private static readonly string Image = Goldens.DemoPath("data/validation-public/Microscopy/phantom_cells/imagesVal/phantom_cells_0000.jpg");

    [Theory]
    [InlineData("doctor")]
    [InlineData("info", "demo")]
    [InlineData("info", "demo", "--check")]
    public void A_report_is_one_document_and_nothing_else(params string[] arguments)
    {
        Finished finished = GemmacoreProcess.Run([.. arguments, "--json"]).Expect(0);
        Assert.NotEmpty(Document(finished));
        Assert.Equal("", finished.Error);
    }

    [Fact]
    public void An_answer_has_the_fields_of_the_contract()
    {
        JsonObject answer = Document(GemmacoreProcess.Run(
            "generate", "demo", "--prompt", "How many cells are in this image?", "--image", Image, "--max-tokens", "3", "--logprobs", "2", "--json").Expect(0));
        Assert.Equal(["text", "tokens", "finish_reason", "logprobs", "usage", "timing"], answer.Select(field => field.Key));
        Assert.Equal(JsonValueKind.String, answer["text"]!.GetValueKind());
        Assert.Contains(answer["finish_reason"]!.GetValue<string>(), (string[])["stop", "length", "cancelled"]);
        int count = answer["tokens"]!.AsArray().Select(id => id!.GetValue<int>()).Count();
        JsonArray logprobs = answer["logprobs"]!.AsArray();
        Assert.Equal(count, logprobs.Count);
        foreach (JsonNode? token in logprobs)
        {
            Assert.Equal(["id", "token", "logprob", "top"], token!.AsObject().Select(field => field.Key));
            Assert.Equal(2, token["top"]!.AsArray().Count);
            foreach (JsonNode? top in token["top"]!.AsArray()) Assert.Equal(["id", "token", "logprob"], top!.AsObject().Select(field => field.Key));
        }

        Assert.Equal(["prompt_tokens", "completion_tokens", "image_tokens"], answer["usage"]!.AsObject().Select(field => field.Key));
        Assert.Equal(count, answer["usage"]!["completion_tokens"]!.GetValue<int>());
        Assert.Equal(16, answer["usage"]!["image_tokens"]!.GetValue<int>());
        Assert.Equal(["load_s", "prefill_s", "decode_s"], answer["timing"]!.AsObject().Select(field => field.Key));
    }

    [Theory]
    [InlineData(1, "generate", "demo", "--prompt", "What?", "--image", "/nowhere.png")]
    [InlineData(2, "generate", "nowhere", "--prompt", "What?")]
    [InlineData(2, "generate", "demo")]
    [InlineData(2, "info", "nowhere")]
    [InlineData(2, "doctor", "--verbose")]
    [InlineData(2, "demo", "--device", "warp")]
    [InlineData(1, "demo", "--device", "cuda:99")]
    public void A_failure_is_one_document_too(int exitCode, params string[] arguments)
    {
        Finished finished = GemmacoreProcess.Run([.. arguments, "--json"]).Expect(exitCode);
        JsonObject document = Document(finished);
        Assert.Equal(["error", "exit_code"], document.Select(field => field.Key));
        Assert.Equal(exitCode, document["exit_code"]!.GetValue<int>());
        Assert.Equal("gemmacore: " + document["error"]!.GetValue<string>(), finished.Error.TrimEnd('\n'));
    }

    private static JsonObject Document(Finished finished) => JsonNode.Parse(finished.Output)!.AsObject();
}
