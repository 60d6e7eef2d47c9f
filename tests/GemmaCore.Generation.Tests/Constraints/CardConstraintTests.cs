using GemmaCore.Cuda;
using GemmaCore.Generation.Constraints;
using GemmaCore.Inputs;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests.Constraints;

/// <summary>Constrained answers and embeddings on simulated cards, where the most likely token comes from the card without its row of logits.</summary>
public sealed class CardConstraintTests
{
    public static TheoryData<string> Cards => [.. TestDevices.Cards(seed: 2)];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Cards))]
    public void Constrained_answers_and_embeddings_are_those_of_the_cpu_or_of_whole_rows(string card)
    {
        CudaDevice device = TestDevices.OpenCard(card);
        bool isExact = device.Precision == CudaPrecision.Float32;
        using GemmaModel model = GemmaModel.Load(Goldens.DemoPath("model"), device), cpu = GemmaModel.Load(Goldens.DemoPath("model"), 2);
        Constraint constraint = model.Constraints.Regex("(polyp|cyst|tumou?r): [a-z]{3,8}( [a-z]{2,6})?\\.");
        Prompt prompt = cpu.Prompts.EncodeText("The lesion is", []);
        (Prompt, SamplingParams)[] Ask(int logprobs, Constraint? own) =>
        [
            (prompt, new SamplingParams { MaxTokens = 14, Constraint = own, Logprobs = logprobs }), (prompt, new SamplingParams { MaxTokens = 5, IgnoreEos = true, Logprobs = logprobs }),
        ];

        IReadOnlyList<GenerationResult> few = model.Generate(Ask(-1, constraint), null, Token), whole = model.Generate(Ask(1, constraint), null, Token);
        Assert.True(constraint.Allows(few[0].Text), few[0].Text);
        Assert.Equal(whole.Select(Ids), few.Select(Ids));
        if (isExact) Assert.Equal(cpu.Generate(Ask(1, cpu.Constraints.Regex("(polyp|cyst|tumou?r): [a-z]{3,8}( [a-z]{2,6})?\\.")), null, Token).Select(Ids), few.Select(Ids));

        Prompt other = cpu.Prompts.EncodeText("The lesions are", []);
        IReadOnlyList<float[]> vectors = model.Embed([prompt, other], cancellation: Token), expected = cpu.Embed([prompt, other], cancellation: Token);
        Assert.Equal(vectors[0], model.Embed([prompt], cancellation: Token)[0]);
        // Nearer to the CPU's than a text that differs by a word is.
        double same = Distance(vectors[0], expected[0]);
        Assert.InRange(same, 0, isExact ? 1e-5 : Distance(expected[0], expected[1]) / 4);
    }

    private static double Distance(float[] x, float[] y) => Math.Sqrt(x.Zip(y, (a, b) => Math.Pow((double)a - b, 2)).Sum());

    private static int[] Ids(GenerationResult result) => [.. result.Tokens.Select(token => token.Id)];
}
