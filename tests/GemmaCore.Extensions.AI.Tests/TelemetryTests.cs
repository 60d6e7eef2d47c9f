using System.Diagnostics;
using System.Diagnostics.Metrics;
using GemmaCore.Generation;
using GemmaCore.Tensors;
using GemmaCore.Testing;
using Microsoft.Extensions.AI;

namespace GemmaCore.Extensions.AI.Tests;

/// <summary>What a listener to the source and the meter <c>GemmaCore</c> hears, under OpenTelemetry's names for generative AI.</summary>
public sealed class TelemetryTests : IDisposable
{
    private const string Name = "telemetry-model", Secret = "Zebra stripes";

    private readonly GemmaModel _model = GemmaModel.Load(Goldens.DemoPath("model"), new CpuDevice(1));
    private readonly RequestLoop _loop;
    private readonly GemmaChatClient _client;
    private readonly List<Activity> _spans = [];
    private readonly List<(string Instrument, string? Unit, double Value, Dictionary<string, object?> Tags)> _measurements = [];
    private readonly ActivityListener _activityListener;
    private readonly MeterListener _meterListener = new();

    public TelemetryTests()
    {
        _loop = new RequestLoop(_model, new BatchLimits(), 1 << 16);
        _client = new GemmaChatClient(Name, _model, _loop);
        _activityListener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "GemmaCore",
            Sample = (ref _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = span =>
            {
                // Tests of other classes run beside these.
                if (span.DisplayName.EndsWith(Name, StringComparison.Ordinal)) lock (_spans) _spans.Add(span);
            },
        };
        ActivitySource.AddActivityListener(_activityListener);
        _meterListener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == "GemmaCore") listener.EnableMeasurementEvents(instrument);
        };
        _meterListener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => Note(instrument, value, tags));
        _meterListener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Note(instrument, value, tags));
        _meterListener.Start();
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_chat_is_a_span_with_the_conventions_names()
    {
        var options = new ChatOptions { Temperature = 0.5f, TopP = 0.9f, TopK = 20, Seed = 3, MaxOutputTokens = 6, FrequencyPenalty = 0.1f, PresencePenalty = 0.2f };
        ChatResponse response = await _client.GetStreamingResponseAsync(Secret, options, Token).ToChatResponseAsync(Token);

        Activity span = Assert.Single(_spans);
        Assert.Equal(($"chat {Name}", ActivityKind.Internal, ActivityStatusCode.Unset), (span.DisplayName, span.Kind, span.Status));
        Dictionary<string, object?> tags = span.TagObjects.ToDictionary(tag => tag.Key, tag => tag.Value);
        Assert.Equal(
            new Dictionary<string, object?>
            {
                ["gen_ai.operation.name"] = "chat", ["gen_ai.provider.name"] = "gemmacore", ["gen_ai.request.model"] = Name, ["gen_ai.response.model"] = Name,
                ["gen_ai.response.id"] = response.ResponseId, ["gen_ai.output.type"] = "text", ["gen_ai.request.max_tokens"] = 6, ["gen_ai.request.temperature"] = 0.5,
                ["gen_ai.request.top_p"] = (double)0.9f, ["gen_ai.request.top_k"] = 20.0, ["gen_ai.request.seed"] = 3L, ["gen_ai.request.frequency_penalty"] = (double)0.1f,
                ["gen_ai.request.presence_penalty"] = (double)0.2f, ["gen_ai.request.stream"] = true, ["gen_ai.usage.input_tokens"] = response.Usage!.InputTokenCount,
                ["gen_ai.usage.output_tokens"] = response.Usage.OutputTokenCount, ["gen_ai.response.finish_reasons"] = tags["gen_ai.response.finish_reasons"],
            },
            tags);
        Assert.Equal([response.FinishReason!.Value.Value], Assert.IsType<string[]>(tags["gen_ai.response.finish_reasons"]));
    }

    [Fact]
    public async Task A_chat_is_measured_on_both_sides()
    {
        ChatResponse response = await _client.GetResponseAsync(Secret, new ChatOptions { MaxOutputTokens = 5, RawRepresentationFactory = _ => new SamplingParams { IgnoreEos = true } }, Token);
        Assert.Equal(
            [
                ("gen_ai.client.operation.duration", "s"), ("gen_ai.client.token.usage", "{token}"), ("gen_ai.client.token.usage", "{token}"), ("gen_ai.server.request.duration", "s"),
                ("gen_ai.server.time_per_output_token", "s"), ("gen_ai.server.time_to_first_token", "s"),
            ],
            _measurements.Select(measured => (measured.Instrument, measured.Unit)).Order());
        Assert.Equal(
            [("input", (double)response.Usage!.InputTokenCount!), ("output", 5.0)],
            _measurements.Where(measured => measured.Unit == "{token}").Select(measured => ((string)measured.Tags["gen_ai.token.type"]!, measured.Value)));
        double whole = Value("gen_ai.server.request.duration"), first = Value("gen_ai.server.time_to_first_token"), each = Value("gen_ai.server.time_per_output_token");
        Assert.True(first > 0 && each > 0 && first + 4 * each <= whole * 1.001, $"{whole} s in all, {first} s to the first token, {each} s for each of four more");
        Assert.All(_measurements, measured =>
        {
            Assert.Equal(("chat", "gemmacore", Name, Name), (measured.Tags["gen_ai.operation.name"], measured.Tags["gen_ai.provider.name"], measured.Tags["gen_ai.request.model"], measured.Tags["gen_ai.response.model"]));
            Assert.DoesNotContain("error.type", measured.Tags.Keys);
        });
        double Value(string instrument) => _measurements.Single(measured => measured.Instrument == instrument).Value;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_answer_that_is_a_call_ended_for_that_reason(bool streams)
    {
        var options = new ChatOptions { Temperature = 0, MaxOutputTokens = 400, Tools = [AIFunctionFactory.Create(() => "done", "stop")], ToolMode = ChatToolMode.RequireAny };
        ChatResponse response = streams
            ? await _client.GetStreamingResponseAsync(Secret, options, Token).ToChatResponseAsync(Token)
            : await _client.GetResponseAsync(Secret, options, Token);
        Assert.Equal(ChatFinishReason.ToolCalls, response.FinishReason);
        Assert.Equal(["tool_calls"], Assert.IsType<string[]>(Assert.Single(_spans).GetTagItem("gen_ai.response.finish_reasons")));
    }

    [Fact]
    public async Task A_cancelled_chat_and_a_refused_one_end_with_their_errors_type()
    {
        using (var leaving = new CancellationTokenSource(TimeSpan.FromMilliseconds(50)))
        {
            var options = new ChatOptions { RawRepresentationFactory = _ => new SamplingParams { MaxTokens = 8000, IgnoreEos = true } };
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _client.GetResponseAsync(Secret, options, leaving.Token));
        }

        await _loop.DrainAsync(TimeSpan.FromSeconds(10));
        await Assert.ThrowsAsync<LoopClosedException>(() => _client.GetResponseAsync(Secret, null, Token));

        string[] types = ["System.OperationCanceledException", "GemmaCore.Generation.LoopClosedException"];
        Assert.Equal(types, _spans.Select(span => (string?)span.GetTagItem("error.type")));
        Assert.All(_spans, span => Assert.Equal((ActivityStatusCode.Error, null), (span.Status, span.StatusDescription)));
        Assert.Equal(types, _measurements.Where(measured => measured.Instrument == "gen_ai.client.operation.duration").Select(measured => (string?)measured.Tags["error.type"]));
        Assert.Equal(2, _measurements.Count(measured => measured.Instrument == "gen_ai.server.request.duration"));
        Assert.Equal(4, _measurements.Count);
    }

    [Fact]
    public async Task Embeddings_are_measured_without_what_only_answers_have()
    {
        GeneratedEmbeddings<Embedding<float>> embeddings = await _client.TextEmbeddings.GenerateAsync([Secret, "x"], cancellationToken: Token);
        Activity span = Assert.Single(_spans);
        Assert.Equal(
            [
                ("gen_ai.operation.name", "embeddings"), ("gen_ai.provider.name", "gemmacore"), ("gen_ai.request.model", Name), ("gen_ai.response.model", Name),
                ("gen_ai.usage.input_tokens", $"{embeddings.Usage!.InputTokenCount}"),
            ],
            span.TagObjects.Select(tag => (tag.Key, $"{tag.Value}")).Order());
        Assert.Equal(
            ["gen_ai.client.operation.duration", "gen_ai.client.token.usage", "gen_ai.server.request.duration"], _measurements.Select(measured => measured.Instrument).Order());
    }

    [Fact]
    public async Task Nothing_that_was_asked_or_answered_is_recorded()
    {
        // Not even where the variable of the conventions asks for it: who wants contents wraps the client in UseOpenTelemetry() with EnableSensitiveData.
        Environment.SetEnvironmentVariable("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true");
        try
        {
            var options = new ChatOptions { MaxOutputTokens = 8, Instructions = Secret, StopSequences = [Secret], RawRepresentationFactory = _ => new SamplingParams { IgnoreEos = true, Stop = [] } };
            ChatResponse response = await _client.GetResponseAsync(Secret, options, Token);
            Assert.NotEmpty(response.Text);
            Activity span = Assert.Single(_spans);
            string recorded = string.Join('\n', [.. span.TagObjects.Select(tag => $"{tag.Key} {tag.Value}"), .. span.Events.Select(happened => happened.Name),
                .. _measurements.SelectMany(measured => measured.Tags.Select(tag => $"{tag.Key} {tag.Value}"))]);
            Assert.DoesNotContain("Zebra", recorded, StringComparison.Ordinal);
            Assert.DoesNotContain(response.Text, recorded, StringComparison.Ordinal);
        }
        finally
        {
            Environment.SetEnvironmentVariable("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", null);
        }
    }

    public void Dispose()
    {
        _activityListener.Dispose();
        _meterListener.Dispose();
        _client.Dispose();
        _loop.Dispose();
        _model.Dispose();
    }

    private void Note(Instrument instrument, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        Dictionary<string, object?> noted = tags.ToArray().ToDictionary(tag => tag.Key, tag => tag.Value);
        if (Equals(noted["gen_ai.request.model"], Name)) lock (_measurements) _measurements.Add((instrument.Name, instrument.Unit, value, noted));
    }
}
