using GemmaCore.Inputs;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

/// <summary>What a developer may do to a model at a wrong moment. Without the guards the first three read freed memory, which ends the test process.</summary>
public sealed class ModelLifetimeTests
{
    private static readonly ChatMessage Question = ChatMessage.FromText(ChatRole.User, "What is shown?");
    private static readonly SamplingParams Long = new() { MaxTokens = 2000, IgnoreEos = true };

    private static GemmaModel Load() => GemmaModel.Load(Goldens.DemoPath("model"), 2);

    [Fact]
    public async Task Leaving_the_loop_over_tokens_ends_the_answer_before_the_model_is_disposed()
    {
        int count = 0;
        using (GemmaModel model = Load())
        {
            await foreach (GeneratedToken _ in model.GenerateAsync([Question], Long, TestContext.Current.CancellationToken))
                if (++count == 3) break;
        }

        Assert.Equal(3, count);
    }

    [Fact]
    public async Task Disposing_waits_for_the_answer_under_way()
    {
        using GemmaModel model = Load();
        var began = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<IReadOnlyList<GenerationResult>> answer = Task.Run(
            () => model.Generate([(model.Prompts.Encode([Question], true), Long with { MaxTokens = 100 })], (_, _) => began.TrySetResult()), TestContext.Current.CancellationToken);
        await began.Task;
        model.Dispose();
        Assert.Equal(100, (await answer)[0].Tokens.Count);
    }

    [Fact]
    public async Task An_adapter_is_taken_off_after_the_answer_under_way()
    {
        using GemmaModel model = Load();
        Models.Lora.LoraAdapter adapter = model.LoadAdapter(Goldens.Path("adapters/all_linear_r8"));
        Prompt prompt = model.Prompts.Encode([Question], true);
        int[] expected = [.. model.Generate([(prompt, Long with { MaxTokens = 60 })], cancellation: TestContext.Current.CancellationToken)[0].Tokens.Select(token => token.Id)];
        var began = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Task<IReadOnlyList<GenerationResult>> answer = Task.Run(
            () => model.Generate([(prompt, Long with { MaxTokens = 60 })], (_, _) => began.TrySetResult()), TestContext.Current.CancellationToken);
        await began.Task;
        model.RemoveAdapter(adapter);
        Assert.Equal(expected, (await answer)[0].Tokens.Select(token => token.Id));
    }

    [Fact]
    public async Task A_disposed_model_says_so_and_may_be_disposed_again()
    {
        GemmaModel model = Load();
        Prompt prompt = model.Prompts.Encode([Question], true);
        model.Dispose();
        model.Dispose();
        Assert.Equal(nameof(GemmaModel), Assert.Throws<ObjectDisposedException>(() => model.Generate([(prompt, Long)], cancellation: TestContext.Current.CancellationToken)).ObjectName);
        Assert.Throws<ObjectDisposedException>(() => model.Embed([prompt], cancellation: TestContext.Current.CancellationToken));
        Assert.Throws<ObjectDisposedException>(() => model.LoadAdapter(Goldens.Path("adapters/all_linear_r8")));
        await Assert.ThrowsAsync<ObjectDisposedException>(async () =>
        {
            await foreach (GeneratedToken _ in model.GenerateAsync([Question], Long, TestContext.Current.CancellationToken)) { }
        });
    }

    [Fact]
    public void A_model_called_from_within_its_own_answer_says_so_instead_of_waiting_for_itself()
    {
        using GemmaModel model = Load();
        Prompt prompt = model.Prompts.Encode([Question], true);
        foreach (Action call in (Action[])[model.Dispose, () => model.LoadAdapter("a"), () => model.Generate([(prompt, Long)], cancellation: TestContext.Current.CancellationToken)])
        {
            Assert.Contains("from within its own answer", Assert.Throws<InvalidOperationException>(
                () => model.Generate([(prompt, Long)], (_, _) => call(), TestContext.Current.CancellationToken)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_model_that_a_loop_answers_with_cannot_be_disposed()
    {
        using GemmaModel model = Load();
        using (var loop = new RequestLoop(model, new BatchLimits { MaxCacheBytes = 1 << 22 }, long.MaxValue))
            Assert.Contains("RequestLoop", Assert.Throws<InvalidOperationException>(model.Dispose).Message, StringComparison.Ordinal);
    }

    public static TheoryData<IReadOnlyList<ChatMessage>?> Nothing => new(
        null, [null!], [new ChatMessage(ChatRole.User, null!)], [new ChatMessage(ChatRole.User, [null!])], [ChatMessage.FromText(ChatRole.User, null!)],
        [new ChatMessage(ChatRole.User, [new ImagePart(null!)])]);

    [Theory]
    [MemberData(nameof(Nothing))]
    public void Null_somewhere_in_a_conversation_is_an_argument_exception(IReadOnlyList<ChatMessage>? messages)
    {
        using GemmaModel model = Load();
        Assert.ThrowsAny<ArgumentException>(() => model.Prompts.Encode(messages!, addGenerationPrompt: true));
    }

    [Fact]
    public void Null_in_sampling_parameters_is_named()
    {
        Assert.Throws<ArgumentNullException>("Stop", () => new SamplingParams { Stop = null! }.Validate());
        Assert.Throws<ArgumentNullException>("StopTokenIds", () => new SamplingParams { StopTokenIds = null! }.Validate());
        Assert.Throws<ArgumentNullException>("LogitBias", () => new SamplingParams { LogitBias = null! }.Validate());
    }
}
