using System.Text.Json;
using GemmaCore.Generation;
using GemmaCore.Generation.Constraints;
using Microsoft.Extensions.AI;
using ChatMessage = Microsoft.Extensions.AI.ChatMessage;
using ChatRole = Microsoft.Extensions.AI.ChatRole;
using OurMessage = GemmaCore.Inputs.ChatMessage;
using OurRole = GemmaCore.Inputs.ChatRole;

namespace GemmaCore.Extensions.AI.Tests;

/// <summary>What a program that knows <see cref="IChatClient"/> alone sees of the embedded model.</summary>
public sealed class GemmaChatClientTests(LoadedClient loaded) : IClassFixture<LoadedClient>
{
    private static readonly SamplingParams Greedy = new() { MaxTokens = 24 };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private GemmaChatClient Client => loaded.Client;

    [Fact]
    public async Task A_question_about_an_image_gets_the_answer_of_the_model_with_its_usage()
    {
        GenerationResult expected = loaded.Expect(Greedy, LoadedClient.Ours);
        ChatResponse response = await Client.GetResponseAsync([LoadedClient.Asked], LoadedClient.Greedy, Token);

        Assert.Equal(expected.Text, response.Text);
        Assert.Equal((ChatRole.Assistant, ChatFinishReason.Stop, "model"), (response.Messages.Single().Role, response.FinishReason, response.ModelId));
        Assert.Equal((expected.PromptTokenCount, expected.Tokens.Count), (response.Usage!.InputTokenCount, response.Usage.OutputTokenCount));
        Assert.Equal(expected.PromptTokenCount + expected.Tokens.Count, response.Usage.TotalTokenCount);
        Assert.Equal(16, response.Usage.AdditionalCounts!["InputImageTokenCount"]);
        Assert.StartsWith("chatcmpl-", response.ResponseId, StringComparison.Ordinal);
        Assert.Equal(expected.Tokens.Select(token => token.Id), Assert.IsType<GenerationResult>(response.RawRepresentation).Tokens.Select(token => token.Id));
        // The picture is looked at: without it the answer is another.
        Assert.NotEqual(response.Text, (await Client.GetResponseAsync(LoadedClient.Question, LoadedClient.Greedy, Token)).Text);
    }

    [Fact]
    public async Task A_streamed_answer_adds_up_to_the_whole_one()
    {
        ChatResponse whole = await Client.GetResponseAsync([LoadedClient.Asked], LoadedClient.Greedy, Token);
        List<ChatResponseUpdate> updates = await Client.GetStreamingResponseAsync([LoadedClient.Asked], LoadedClient.Greedy, Token).ToListAsync(Token);
        ChatResponse streamed = updates.ToChatResponse();

        Assert.InRange(updates.Count, 4, int.MaxValue);
        Assert.Equal(whole.Text, streamed.Text);
        Assert.Equal((whole.FinishReason, whole.ModelId), (streamed.FinishReason, streamed.ModelId));
        Assert.Equal((whole.Usage!.InputTokenCount, whole.Usage.OutputTokenCount), (streamed.Usage!.InputTokenCount, streamed.Usage.OutputTokenCount));
        Assert.Single(streamed.Messages);
        Assert.Single(updates.Select(update => (update.ResponseId, update.MessageId, update.Role)).Distinct());
        Assert.All(updates.SkipLast(1), update => Assert.Null(update.FinishReason));
    }

    [Fact]
    public async Task A_conversation_goes_on_with_the_answer_as_it_came()
    {
        ChatResponse first = await Client.GetStreamingResponseAsync([LoadedClient.Asked], LoadedClient.Greedy, Token).ToChatResponseAsync(Token);
        ChatMessage[] conversation = [LoadedClient.Asked, .. first.Messages, new(ChatRole.User, "How large?")];
        GenerationResult expected = loaded.Expect(Greedy, LoadedClient.Ours, OurMessage.FromText(OurRole.Assistant, first.Text), OurMessage.FromText(OurRole.User, "How large?"));
        ChatResponse second = await Client.GetResponseAsync(conversation, LoadedClient.Greedy, Token);
        Assert.Equal(expected.Text, second.Text);
        // The picture and the first question are not computed again.
        Assert.InRange(second.Usage!.CachedInputTokenCount!.Value, 16, second.Usage.InputTokenCount!.Value - 1);
    }

    [Fact]
    public async Task Instructions_are_a_system_message_in_front_of_the_callers_own()
    {
        ChatOptions options = LoadedClient.Greedy;
        options.Instructions = "Be short.";
        ChatResponse alone = await Client.GetResponseAsync([LoadedClient.Asked], options, Token);
        Assert.Equal(loaded.Expect(Greedy, OurMessage.FromText(OurRole.System, "Be short."), LoadedClient.Ours).PromptTokenCount, alone.Usage!.InputTokenCount);
        ChatResponse both = await Client.GetResponseAsync([new(ChatRole.System, "You are a doctor."), LoadedClient.Asked], options, Token);
        GenerationResult expected = loaded.Expect(Greedy, OurMessage.FromText(OurRole.System, "Be short.\nYou are a doctor."), LoadedClient.Ours);
        Assert.Equal((expected.Text, expected.PromptTokenCount), (both.Text, (int)both.Usage!.InputTokenCount!));
    }

    [Fact]
    public async Task Every_sampling_option_reaches_the_sampler()
    {
        var options = new ChatOptions
        {
            Temperature = 1.7f, TopP = 0.9f, TopK = 40, MaxOutputTokens = 12, FrequencyPenalty = 0.5f, PresencePenalty = 0.25f, Seed = 7,
            StopSequences = ["zebra"],
        };
        var parameters = new SamplingParams { Temperature = 1.7f, TopP = 0.9f, TopK = 40, MaxTokens = 12, FrequencyPenalty = 0.5f, PresencePenalty = 0.25f, Seed = 7, Stop = ["zebra"] };
        Assert.Equal(loaded.Expect(parameters, LoadedClient.Ours).Text, (await Client.GetResponseAsync([LoadedClient.Asked], options, Token)).Text);

        // And each one alone: the parameters that come out differ from the defaults in that one only.
        SamplingParams defaults = new() { MaxTokens = 9 };
        SamplingParams Read(ChatOptions one) => OptionsReader.Read(one, Client, defaults, room: 100) with { Seed = one.Seed is null ? 0 : 5ul };
        Assert.Equal(defaults with { Temperature = 0.5f }, Read(new() { Temperature = 0.5f }));
        Assert.Equal(defaults with { TopP = 0.5f }, Read(new() { TopP = 0.5f }));
        Assert.Equal(defaults with { TopK = 5 }, Read(new() { TopK = 5 }));
        Assert.Equal(defaults with { MaxTokens = 5 }, Read(new() { MaxOutputTokens = 5 }));
        Assert.Equal(defaults with { FrequencyPenalty = 0.5f }, Read(new() { FrequencyPenalty = 0.5f }));
        Assert.Equal(defaults with { PresencePenalty = 0.5f }, Read(new() { PresencePenalty = 0.5f }));
        Assert.Equal(defaults with { Seed = 5 }, Read(new() { Seed = 5 }));
        Assert.Equal(5u, OptionsReader.Read(new() { Seed = 5 }, Client, defaults, 100).Seed);
        Assert.Equal(["a"], Read(new() { StopSequences = ["a"] }).Stop);
        // What the model's positions leave is all a default may ask for.
        Assert.Equal(4, OptionsReader.Read(null, Client, defaults, room: 4).MaxTokens);
    }

    [Fact]
    public async Task Settings_without_a_name_of_their_own_come_as_sampling_parameters()
    {
        IChatClient? asked = null;
        var options = new ChatOptions
        {
            MaxOutputTokens = 8,
            RawRepresentationFactory = client =>
            {
                asked = client;
                return new SamplingParams { MaxTokens = 99, IgnoreEos = true, Logprobs = 1 };
            },
        };
        ChatResponse response = await Client.GetResponseAsync([LoadedClient.Asked], options, Token);
        Assert.Same(Client, asked);
        Assert.Equal((8, ChatFinishReason.Length), (response.Usage!.OutputTokenCount, response.FinishReason));
        Assert.All(((GenerationResult)response.RawRepresentation!).Tokens, token => Assert.Single(token.Top));
    }

    [Fact]
    public async Task A_stop_sequence_ends_the_answer_before_itself_in_a_stream_too()
    {
        string full = loaded.Expect(Greedy, LoadedClient.Ours).Text, stop = full[(full.Length / 2)..(full.Length / 2 + 3)];
        ChatOptions options = LoadedClient.Greedy;
        options.StopSequences = [stop];
        ChatResponse streamed = await Client.GetStreamingResponseAsync([LoadedClient.Asked], options, Token).ToChatResponseAsync(Token);
        Assert.Equal((full[..full.IndexOf(stop, StringComparison.Ordinal)], ChatFinishReason.Stop), (streamed.Text, streamed.FinishReason));
    }

    [Fact]
    public async Task A_model_id_names_the_base_or_an_adapter()
    {
        ChatOptions adapted = LoadedClient.Greedy, named = LoadedClient.Greedy, unknown = LoadedClient.Greedy;
        (adapted.ModelId, named.ModelId, unknown.ModelId) = (LoadedClient.AdapterName, "model", "gpt-4");
        ChatResponse response = await Client.GetResponseAsync(LoadedClient.Question, adapted, Token);
        GenerationResult expected = loaded.ExpectAdapted(Greedy, OurMessage.FromText(OurRole.User, LoadedClient.Question));
        Assert.Equal((LoadedClient.AdapterName, expected.Text), (response.ModelId, response.Text));
        Assert.Equal(
            (await Client.GetResponseAsync([LoadedClient.Asked], LoadedClient.Greedy, Token)).Text, (await Client.GetResponseAsync([LoadedClient.Asked], named, Token)).Text);
        var error = await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => Client.GetResponseAsync("x", unknown, Token));
        Assert.Contains("There is no model 'gpt-4'; expected model or an adapter's name", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_callers_options_and_messages_stay_as_they_were()
    {
        var options = new ChatOptions { Temperature = 0, MaxOutputTokens = 4, Instructions = "Be short.", StopSequences = ["zebra"], ModelId = LoadedClient.AdapterName, Seed = 3 };
        List<ChatMessage> messages = [new(ChatRole.System, "You are a doctor."), LoadedClient.Asked];
        string before = Written();
        await Client.GetResponseAsync(messages, options, Token);
        await Client.GetStreamingResponseAsync(messages, options, Token).ToListAsync(Token);
        Assert.Equal(before, Written());

        string Written() => JsonSerializer.Serialize(options, AIJsonUtilities.DefaultOptions) + JsonSerializer.Serialize(messages, AIJsonUtilities.DefaultOptions);
    }

    [Fact]
    public async Task A_caller_that_leaves_ends_the_answer()
    {
        var options = new ChatOptions { RawRepresentationFactory = _ => new SamplingParams { MaxTokens = 8000, IgnoreEos = true } };
        var loop = (RequestLoop)Client.GetService(typeof(RequestLoop))!;
        using (var leaving = new CancellationTokenSource())
        {
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
            {
                await foreach (ChatResponseUpdate _ in Client.GetStreamingResponseAsync("x", options, leaving.Token)) await leaving.CancelAsync();
            });
        }

        await IdleAsync(loop);
        await foreach (ChatResponseUpdate _ in Client.GetStreamingResponseAsync("x", options, Token)) break; // without a word
        await IdleAsync(loop);
        using var soon = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Client.GetResponseAsync("x", options, soon.Token));
        await IdleAsync(loop);
    }

    [Fact]
    public void Services_of_the_client_are_found_by_type()
    {
        ChatClientMetadata metadata = Client.GetService<ChatClientMetadata>()!;
        Assert.Equal(("gemmacore", "model", null), (metadata.ProviderName, metadata.DefaultModelId, metadata.ProviderUri));
        Assert.Same(loaded.Client, Client.GetService<GemmaChatClient>());
        Assert.Same(loaded.Client, Client.GetService<IChatClient>());
        Assert.IsType<GemmaModel>(Client.GetService<GemmaModel>());
        Assert.Null(Client.GetService<string>());
        Assert.Null(Client.GetService<ChatClientMetadata>("a key"));
    }

    [Fact]
    public async Task It_stands_in_a_pipeline_of_the_usual_parts()
    {
        IChatClient pipeline = Client.AsBuilder().ConfigureOptions(options => options.MaxOutputTokens = 3).UseOpenTelemetry().Build();
        ChatResponse response = await pipeline.GetResponseAsync([LoadedClient.Asked], new ChatOptions { Temperature = 0 }, Token);
        Assert.Equal((3, ChatFinishReason.Length), (response.Usage!.OutputTokenCount, response.FinishReason));
        Assert.Equal("gemmacore", pipeline.GetService<ChatClientMetadata>()!.ProviderName);
    }

    // 8000 tokens would take far longer than this.
    private static async Task IdleAsync(RequestLoop loop)
    {
        for (int i = 0; i < 1000 && loop.Status.Running > 0; i++) await Task.Delay(10, Token);
        Assert.Equal((0, 0L), (loop.Status.Running, loop.Status.CacheBytes));
    }

    // The embedded model thinks nothing by itself.
    [Fact]
    public async Task What_the_model_thinks_is_reasoning_content_and_is_not_shown_to_it_again()
    {
        Constraint constraint = loaded.Client.GetService<GemmaModel>()!.Constraints.Regex("<unused94>thought\\nIs it round\\?<unused95>A cyst\\.");
        var options = new ChatOptions { RawRepresentationFactory = _ => new SamplingParams { Temperature = 0, MaxTokens = 60, Constraint = constraint } };
        ChatResponse response = await loaded.Client.GetResponseAsync("What is it?", options, Token);
        Assert.Equal("Is it round?", Assert.Single(response.Messages[0].Contents.OfType<TextReasoningContent>()).Text);
        Assert.Equal("A cyst.", response.Text);
        Assert.InRange(response.Usage!.ReasoningTokenCount!.Value, 10, response.Usage.OutputTokenCount!.Value - 1);

        ChatResponse streamed = await loaded.Client.GetStreamingResponseAsync("What is it?", options, Token).ToChatResponseAsync(Token);
        Assert.Equal(("Is it round?", "A cyst."), (string.Concat(streamed.Messages[0].Contents.OfType<TextReasoningContent>().Select(content => content.Text)), streamed.Text));
        Assert.Equal(response.Usage.ReasoningTokenCount, streamed.Usage!.ReasoningTokenCount);

        options.Reasoning = new ReasoningOptions { Output = ReasoningOutput.None };
        Assert.Empty((await loaded.Client.GetResponseAsync("What is it?", options, Token)).Messages[0].Contents.OfType<TextReasoningContent>());

        ChatMessage[] said = [new(ChatRole.User, "What is it?"), new(ChatRole.Assistant, "A cyst."), new(ChatRole.User, "Sure?")], thought = [said[0], response.Messages[0], said[2]];
        Assert.Equal(
            (await loaded.Client.GetResponseAsync(said, LoadedClient.Greedy, Token)).Usage!.InputTokenCount, (await loaded.Client.GetResponseAsync(thought, LoadedClient.Greedy, Token)).Usage!.InputTokenCount);
    }
}
