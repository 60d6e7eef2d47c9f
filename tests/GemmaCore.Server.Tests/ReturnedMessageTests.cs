using System.Net;
using System.Text.Json;

namespace GemmaCore.Server.Tests;

/// <summary>Clients put an answer back into the conversation as their objects write it: with everything that OpenAI's message has, most of it null.</summary>
public sealed class ReturnedMessageTests(SharedServer shared) : IClassFixture<SharedServer>
{
    [Theory]
    // The Python SDK's message.model_dump().
    [InlineData("""{"content":"A cyst.","refusal":null,"role":"assistant","annotations":null,"audio":null,"function_call":null,"tool_calls":null}""", "A cyst.")]
    [InlineData("""{"role":"assistant","content":"A cyst.","refusal":null,"annotations":[]}""", "A cyst.")]
    [InlineData("""{"role":"assistant","content":"A cyst.","tool_calls":[]}""", "A cyst.")]
    [InlineData("""{"role":"assistant","content":[{"type":"text","text":"A cyst."}],"name":null}""", "A cyst.")]
    // All tokens went into a thought.
    [InlineData("""{"role":"assistant","content":null,"refusal":null,"reasoning_content":"Cyst or no cyst?"}""", "")]
    [InlineData("""{"role":"assistant","content":null,"refusal":"No."}""", "No.")]
    [InlineData("""{"role":"assistant","refusal":"No."}""", "No.")]
    [InlineData("""{"role":"assistant","content":[{"type":"refusal","refusal":"No."}]}""", "No.")]
    public async Task An_answer_comes_back_as_clients_write_it(string message, string said) =>
        Assert.Equal(await TokensAsync($$"""{"role":"assistant","content":"{{said}}"}"""), await TokensAsync(message));

    [Theory]
    [InlineData("""{"role":"assistant","content":"x","annotations":[{"type":"url_citation"}]}""", "annotations")]
    [InlineData("""{"role":"assistant","content":"x","audio":{"id":"a"}}""", "audio")]
    [InlineData("""{"role":"assistant","content":"x","function_call":{"name":"f","arguments":"{}"}}""", "function_call")]
    [InlineData("""{"role":"user","content":null}""", "content")]
    [InlineData("""{"role":"system","content":null}""", "content")]
    [InlineData("""{"role":"user","content":[{"type":"refusal","refusal":"No."}]}""", "content[0].type")]
    public async Task What_it_would_say_and_cannot_is_refused(string message, string param)
    {
        (HttpStatusCode status, JsonElement reply) = await shared.Server.PostAsync("/tokenize", $$"""{"messages":[{{message}}]}""");
        Assert.Equal((HttpStatusCode.BadRequest, "messages[0]." + param), (status, reply.GetProperty("error").GetProperty("param").GetString()));
    }

    [Fact]
    public async Task A_field_that_is_null_asks_for_nothing_whatever_its_name()
    {
        (HttpStatusCode status, JsonElement reply) = await shared.Server.PostAsync(
            "/v1/chat/completions", """{"messages":[{"role":"user","content":"x"}],"max_tokens":2,"functions":null,"function_call":null,"audio":null,"reasoning_effort":null,"stream_options":null}""");
        Assert.True(status == HttpStatusCode.OK, reply.ToString());
    }

    private async Task<int[]> TokensAsync(string answer)
    {
        (HttpStatusCode status, JsonElement reply) = await shared.Server.PostAsync(
            "/tokenize", $$"""{"messages":[{"role":"user","content":"What is it?"},{{answer}},{"role":"user","content":"Sure?"}]}""");
        Assert.True(status == HttpStatusCode.OK, reply.ToString());
        return [.. reply.GetProperty("tokens").EnumerateArray().Select(id => id.GetInt32())];
    }
}
