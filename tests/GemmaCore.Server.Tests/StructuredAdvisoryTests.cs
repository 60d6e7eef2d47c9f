using System.Diagnostics;
using System.Net;
using System.Text.Json;

namespace GemmaCore.Server.Tests;

/// <summary>The advisories about schemas and expressions that clients send (shared spec serving.md §6.1): none may stop, slow or bloat the server.</summary>
public sealed class StructuredAdvisoryTests(SharedServer shared) : IClassFixture<SharedServer>
{
    // CVE-2025-48944: a tool schema with a malformed pattern or type stopped vLLM. CVE-2025-48942, -48943: a malformed guided schema or regular expression did.
    [Theory]
    [InlineData("{\"type\":\"something\"}")]
    [InlineData("{\"type\":\"string\",\"pattern\":\"{2}\"}")]
    [InlineData("{\"type\":\"string\",\"pattern\":\"[\"}")]
    [InlineData("{\"type\":\"string\",\"pattern\":\"(?P<a>x)(?P=a)\"}")]
    [InlineData("{\"type\":{}}")]
    [InlineData("{\"properties\":[]}")]
    [InlineData("{\"required\":{\"a\":1}}")]
    [InlineData("{\"$ref\":\"#/$defs/a\",\"$defs\":{\"a\":{\"$ref\":\"#/$defs/b\"},\"b\":{\"$ref\":\"#/$defs/a\"}}}")]
    [InlineData("{\"$ref\":\"file:///etc/passwd\"}")]
    [InlineData("{\"enum\":{}}")]
    [InlineData("{\"anyOf\":3}")]
    [InlineData("{\"items\":3,\"type\":\"array\"}")]
    [InlineData("{\"minimum\":\"x\",\"type\":\"integer\"}")]
    [InlineData("{\"minimum\":1e999,\"type\":\"number\"}")]
    [InlineData("7")]
    [InlineData("\"{\"")]
    public async Task Malformed_schemas(string schema)
    {
        if (schema.Contains("{2}", StringComparison.Ordinal)) schema = schema.Replace("{2}", "a{2}{3}", StringComparison.Ordinal);
        foreach (string field in (string[])[$"\"guided_json\":{schema}", $"\"structured_outputs\":{{\"json\":{schema}}}"]) await AssertRefusedAsync(field);
        await AssertAliveAsync();
    }

    // Regular expressions that take exponential time where they are matched by trying.
    [Theory]
    [InlineData("(a+)+$")]
    [InlineData("(a|a)*b")]
    [InlineData("(a|aa)+c")]
    [InlineData("((((a*)*)*)*)*b")]
    [InlineData("(.*)*x(.*)*y")]
    [InlineData("[ab]*a[ab]{12}")]
    public async Task Regular_expressions_that_blow_up_by_backtracking(string expression)
    {
        long start = Stopwatch.GetTimestamp();
        (HttpStatusCode status, JsonElement reply) = await AskAsync($"\"guided_regex\":{JsonSerializer.Serialize(expression)}");
        Assert.True(status == HttpStatusCode.OK, reply.ToString());
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 0, 20);
    }

    [Theory]
    [InlineData("((a{1000}){1000}){1000}")]
    [InlineData("(((((a{0,99}){0,99}){0,99}){0,99}){0,99}){0,99}")]
    [InlineData("a{999999999}")]
    [InlineData("[^a]{1000}[^b]{1000}[^c]{1000}[^d]{1000}[^e]{1000}")]
    public async Task Regular_expressions_that_blow_up_by_repetition(string expression)
    {
        long before = GC.GetTotalAllocatedBytes(precise: true);
        await AssertRefusedAsync($"\"guided_regex\":\"{expression}\"");
        Assert.InRange(GC.GetTotalAllocatedBytes(precise: true) - before, 0, 256 << 20);
    }

    [Fact]
    public async Task Expressions_and_schemas_without_bounds()
    {
        await AssertRefusedAsync($"\"guided_regex\":\"{new string('a', 5000)}\"");
        await AssertRefusedAsync($"\"guided_regex\":\"{new string('(', 2000)}a{new string(')', 2000)}\"");
        await AssertRefusedAsync($"\"guided_json\":{{\"description\":\"{new string('x', 200_000)}\"}}");
        string deep = string.Concat(Enumerable.Repeat("{\"type\":\"array\",\"items\":", 50)) + "{}" + new string('}', 50);
        await AssertRefusedAsync($"\"guided_json\":{deep}");
        string wide = string.Join(',', Enumerable.Range(0, 500).Select(i => $"\"p{i}\":{{}}"));
        await AssertRefusedAsync($"\"guided_json\":{{\"type\":\"object\",\"properties\":{{{wide}}}}}");
        string many = string.Join(',', Enumerable.Range(0, 3000).Select(i => $"\"{i}\""));
        await AssertRefusedAsync($"\"guided_choice\":[{many}]");
        // Each of these names the next twice: 2^40 strings if they were written out.
        string doubling = string.Join(',', Enumerable.Range(0, 40).Select(i => $"\"d{i}\":{{\"type\":\"array\",\"items\":{{\"anyOf\":[{{\"$ref\":\"#/$defs/d{i + 1}\"}},{{\"$ref\":\"#/$defs/d{i + 1}\"}}]}},\"minItems\":2}}"));
        await AssertRefusedAsync($"\"guided_json\":{{\"$ref\":\"#/$defs/d0\",\"$defs\":{{{doubling},\"d40\":{{\"type\":\"null\"}}}}}}");
        await AssertAliveAsync();
    }

    private static async Task NothingUnderWayAsync(RunningServer server)
    {
        for (int i = 0; i < 50 && server.Served.Loop.Status.Running + server.Served.Loop.Status.Waiting > 0; i++) await Task.Delay(20, TestContext.Current.CancellationToken);
        Assert.Equal(0, server.Served.Loop.Status.Running + server.Served.Loop.Status.Waiting);
    }

    private async Task AssertRefusedAsync(string field)
    {
        long start = Stopwatch.GetTimestamp();
        (HttpStatusCode status, JsonElement reply) = await AskAsync(field);
        Assert.True(status == HttpStatusCode.BadRequest, field);
        string message = reply.GetProperty("error").GetProperty("message").GetString()!;
        Assert.InRange(message.Length, 10, 600);
        Assert.NotNull(reply.GetProperty("error").GetProperty("param").GetString());
        foreach (string inside in (string[])["   at ", "Exception", "/work", "\n"]) Assert.DoesNotContain(inside, message, StringComparison.Ordinal);
        Assert.InRange(Stopwatch.GetElapsedTime(start).TotalSeconds, 0, 10);
        await NothingUnderWayAsync(shared.Server);
    }

    private async Task AssertAliveAsync() => Assert.Equal(HttpStatusCode.OK, (await AskAsync("\"guided_choice\":[\"a\"]")).Status);

    private Task<(HttpStatusCode Status, JsonElement Body)> AskAsync(string field) =>
        shared.Server.PostAsync("/v1/chat/completions", "{\"messages\":[{\"role\":\"user\",\"content\":\"x\"}],\"max_tokens\":30," + field + "}");
}
