using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace GemmaCore.Server.Tests;

/// <summary>Spans of requests over HTTP; the measurements are tested with the chat client, which makes them by the same code.</summary>
public sealed class TelemetryTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_request_is_one_span_under_the_clients_own_trace()
    {
        List<Activity> spans = [];
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name is "GemmaCore" or "Microsoft.AspNetCore", // the latter carries the client's trace on
            Sample = (ref _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = span =>
            {
                if (span.Source.Name == "GemmaCore") lock (spans) spans.Add(span);
            },
        };
        ActivitySource.AddActivityListener(listener);
        await using RunningServer server = await RunningServer.StartAsync();
        ActivityTraceId trace = ActivityTraceId.CreateRandom();
        server.Client.DefaultRequestHeaders.Add("traceparent", $"00-{trace}-{ActivitySpanId.CreateRandom()}-01");

        (_, JsonElement chat) = await server.PostAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"Zebra"}],"max_tokens":3,"n":2,"ignore_eos":true}""");
        (_, JsonElement text) = await server.PostAsync("/v1/completions", """{"prompt":["One","Two lesions"],"max_tokens":2,"ignore_eos":true}""");
        await server.PostAsync("/v1/embeddings", """{"input":["Zebra","x"]}""");
        (_, JsonElement classes) = await server.PostAsync("/v1/classify", """{"messages":[{"role":"user","content":"Zebra"}],"labels":["yes","no lesion","a lesion"]}""");
        (_, JsonElement call) = await server.PostAsync("/v1/chat/completions", """{"messages":[{"role":"user","content":"Zebra"}],"max_tokens":400,"temperature":0,"tools":[{"type":"function","function":{"name":"stop"}}],"tool_choice":"required"}""");
        using var content = new StringContent("""{"prompt":"Zebra","max_tokens":8000,"ignore_eos":true,"stream":true}""", System.Text.Encoding.UTF8, "application/json");
        using (var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/v1/completions", UriKind.Relative)) { Content = content })
        using (await server.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token))
        {
            // and leaves
        }

        (HttpStatusCode refused, _) = await server.PostAsync("/v1/completions", """{"prompt":"x","temperature":-1}""");
        Assert.Equal(HttpStatusCode.BadRequest, refused);
        for (int i = 0; i < 500 && Ours().Count < 6; i++) await Task.Delay(10, Token);

        List<Activity> ours = Ours();
        Assert.Equal(["chat demo", "text_completion demo", "embeddings demo", "classify demo", "chat demo", "text_completion demo"], ours.Select(span => span.DisplayName)); // what is refused before it begins is none
        Assert.Equal([(object)chat.GetProperty("id").GetString()!, text.GetProperty("id").GetString()!], ours.Take(2).Select(span => span.GetTagItem("gen_ai.response.id")!));
        Assert.Equal((2, 6L), ((int)ours[0].GetTagItem("gen_ai.request.choice.count")!, (long)ours[0].GetTagItem("gen_ai.usage.output_tokens")!));
        Assert.Equal(["length", "length"], Assert.IsType<string[]>(ours[0].GetTagItem("gen_ai.response.finish_reasons")));
        Assert.Equal(text.GetProperty("usage").GetProperty("prompt_tokens").GetInt64(), ours[1].GetTagItem("gen_ai.usage.input_tokens"));
        Assert.True((long)ours[2].GetTagItem("gen_ai.usage.input_tokens")! > 2);
        Assert.Equal(
            new Dictionary<string, object?>
            {
                ["gen_ai.operation.name"] = "classify", ["gen_ai.provider.name"] = "gemmacore", ["gen_ai.request.model"] = "demo", ["gen_ai.response.model"] = "demo",
                ["gen_ai.response.id"] = classes.GetProperty("id").GetString(), ["gen_ai.usage.input_tokens"] = classes.GetProperty("usage").GetProperty("prompt_tokens").GetInt64(),
            },
            ours[3].TagObjects.Where(tag => tag.Key != "gen_ai.usage.cache_read.input_tokens").ToDictionary(tag => tag.Key, tag => tag.Value));
        Assert.Equal("tool_calls", call.GetProperty("choices")[0].GetProperty("finish_reason").GetString());
        Assert.Equal(["tool_calls"], Assert.IsType<string[]>(ours[4].GetTagItem("gen_ai.response.finish_reasons")));
        Assert.Equal(("System.OperationCanceledException", ActivityStatusCode.Error), (ours[5].GetTagItem("error.type"), ours[5].Status));
        Assert.DoesNotContain("Zebra", string.Join('\n', ours.SelectMany(span => span.TagObjects).Select(tag => $"{tag.Key} {tag.Value}")), StringComparison.Ordinal);

        // The same reasons are a label of the counter; labels that were scored are nobody's tokens.
        string metrics = "";
        for (int i = 0; i < 500 && Count("abort") < 1; i++) metrics = await server.Client.GetStringAsync(new Uri("/metrics", UriKind.Relative), Token);
        Assert.Equal((4, 1, 1), (Count("length"), Count("tool_calls"), Count("abort"))); // two choices and two prompts, the call, and who left
        Assert.InRange(Count("stop"), 3, 5); // two embeddings, and the labels, of which those that begin alike are one
        Assert.InRange(Number("""gemmacore_request_generation_tokens_count\{[^}]*\}"""), 5, 6); // who left may have got something
        int Count(string reason) => Number($"vllm:request_success_total\\{{model_name=\"demo\",engine=\"0\",finished_reason=\"{reason}\"\\}}");
        int Number(string name) => Regex.Match(metrics, $"^{name} (\\d+)$", RegexOptions.Multiline) is { Success: true } found ? int.Parse(found.Groups[1].Value, CultureInfo.InvariantCulture) : 0;

        // Servers of other tests answer at the same time.
        List<Activity> Ours()
        {
            lock (spans) return [.. spans.Where(span => span.TraceId == trace)];
        }
    }
}
