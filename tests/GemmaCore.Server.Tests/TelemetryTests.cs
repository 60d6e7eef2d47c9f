using System.Diagnostics;
using System.Net;
using System.Text.Json;

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
        using var content = new StringContent("""{"prompt":"Zebra","max_tokens":8000,"ignore_eos":true,"stream":true}""", System.Text.Encoding.UTF8, "application/json");
        using (var request = new HttpRequestMessage(HttpMethod.Post, new Uri("/v1/completions", UriKind.Relative)) { Content = content })
        using (await server.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token))
        {
            // and leaves
        }

        (HttpStatusCode refused, _) = await server.PostAsync("/v1/completions", """{"prompt":"x","temperature":-1}""");
        Assert.Equal(HttpStatusCode.BadRequest, refused);
        for (int i = 0; i < 500 && Ours().Count < 4; i++) await Task.Delay(10, Token);

        List<Activity> ours = Ours();
        Assert.Equal(["chat demo", "text_completion demo", "embeddings demo", "text_completion demo"], ours.Select(span => span.DisplayName)); // what is refused before it begins is none
        Assert.Equal([(object)chat.GetProperty("id").GetString()!, text.GetProperty("id").GetString()!], ours.Take(2).Select(span => span.GetTagItem("gen_ai.response.id")!));
        Assert.Equal((2, 6L), ((int)ours[0].GetTagItem("gen_ai.request.choice.count")!, (long)ours[0].GetTagItem("gen_ai.usage.output_tokens")!));
        Assert.Equal(["length", "length"], Assert.IsType<string[]>(ours[0].GetTagItem("gen_ai.response.finish_reasons")));
        Assert.Equal(text.GetProperty("usage").GetProperty("prompt_tokens").GetInt64(), ours[1].GetTagItem("gen_ai.usage.input_tokens"));
        Assert.True((long)ours[2].GetTagItem("gen_ai.usage.input_tokens")! > 2);
        Assert.Equal(("System.OperationCanceledException", ActivityStatusCode.Error), (ours[3].GetTagItem("error.type"), ours[3].Status));
        Assert.DoesNotContain("Zebra", string.Join('\n', ours.SelectMany(span => span.TagObjects).Select(tag => $"{tag.Key} {tag.Value}")), StringComparison.Ordinal);

        // Servers of other tests answer at the same time.
        List<Activity> Ours()
        {
            lock (spans) return [.. spans.Where(span => span.TraceId == trace)];
        }
    }
}
