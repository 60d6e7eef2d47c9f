using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

/// <summary>See <see cref="FailingCalls"/>.</summary>
[Collection(nameof(FailingCalls))]
public sealed class FailingCallTests : IDisposable
{
    private static readonly Tokenizer Tokenizer = PromptEncoder.Load(Goldens.DemoPath("model")).Tokenizer;

    private readonly SmallModel _files = new();

    [Theory]
    [InlineData("gtx1650/random", FailingCalls.OutOfMemory, WeightFormat.AsStored)]
    [InlineData("h200/adversarial", FailingCalls.InvalidValue, WeightFormat.AsStored)]
    [InlineData("a100/priority", FailingCalls.LaunchFailed, WeightFormat.AsStored)]
    [InlineData("t4/random", FailingCalls.OutOfMemory, WeightFormat.Int8)]
    public void Answering_survives_every_failing_call(string card, int code, WeightFormat format) => FailingCalls.Try(
        card, code, most: 60, device =>
        {
            using LanguageModel model = ModelFolder.Load(_files.Folder, device, format, format);
            using var generator = new Generator(model, Tokenizer, []);
            (Prompt, SamplingParams)[] prompts =
            [
                (new Prompt([2, 17, 9, 61, 5, 40], [], []), new SamplingParams { MaxTokens = 6 }),
                (new Prompt([2, 33], [], []), new SamplingParams { MaxTokens = 5, Temperature = 1, TopK = 9, Seed = 4 }),
                (new Prompt([2, 8, 8], [], []), new SamplingParams { MaxTokens = 6, RepetitionPenalty = 1.2f, Logprobs = 2 }),
            ];
            IReadOnlyList<GenerationResult> answers = generator.Generate(prompts, null, CancellationToken.None);
            Assert.Equal([6, 5, 6], answers.Select(answer => answer.Tokens.Count));
        },
        _ => { });

    public void Dispose() => _files.Dispose();
}

/// <summary>Alone: a planted failure meets the calls of the whole process.</summary>
[CollectionDefinition(nameof(FailingCalls), DisableParallelization = true)]
public sealed class FailingCallsAlone;
