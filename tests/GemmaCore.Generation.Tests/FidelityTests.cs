using CsCheck;
using GemmaCore.Inputs;
using GemmaCore.Models;
using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Generation.Tests;

public sealed class FidelityTests
{
    private const int Tokens = 12;

    private static readonly ChatMessage Question = new(
        ChatRole.User,
        [new ImagePart(ImageSource.FromFile(Goldens.DemoPath("data/validation-public/Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg"))), new TextPart("Describe the endoscopic finding.")]);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public void The_same_is_the_same_to_the_last_bit()
    {
        using GemmaModel one = Load(WeightFormat.AsStored), other = Load(WeightFormat.AsStored);
        Fidelity fidelity = Measure(one, other);
        Assert.Equal(new Fidelity(Tokens, 0, fidelity.LargestLogit, 0, 0, Tokens, Tokens), fidelity);
        Assert.InRange(fidelity.LargestLogit, 1, 100);
    }

    [Fact]
    public void Fewer_bits_are_farther_away()
    {
        using GemmaModel reference = Load(WeightFormat.AsStored), int8 = Load(WeightFormat.Int8), nf4 = Load(WeightFormat.Nf4);
        Fidelity near = Measure(reference, int8), far = Measure(reference, nf4);
        Assert.InRange(near.RelativeDifference, 1e-4, 0.05);
        Assert.InRange(near.MeanDivergence, 1e-9, far.MeanDivergence / 2);
        Assert.InRange(far.LargestDifference, near.LargestDifference * 2, 20);
    }

    // The pass over the prompt reads its own keys in fp32; only what is decoded behind it sees them narrowed.
    [Fact]
    public void Keys_in_16_bits_show()
    {
        using GemmaModel reference = Load(WeightFormat.AsStored), narrow = Load(WeightFormat.AsStored);
        narrow.Model.KvType = DType.BF16;
        Assert.InRange(Measure(reference, narrow).RelativeDifference, 1e-6, 0.05);
    }

    [Fact]
    public void Two_rows_by_hand()
    {
        // p = (1/2, 1/2) against (1/4, 3/4): ½ ln 2 + ½ ln ⅔; then p = (3/4, 1/4) against itself, shifted, which changes logits and no probability.
        float[] reference = [0, 0, MathF.Log(3), 0], measured = [0, MathF.Log(3), MathF.Log(3) + 2, 2];
        Fidelity fidelity = Fidelity.Compare(reference, measured, 2);
        double divergence = 0.5 * Math.Log(2) + 0.5 * Math.Log(2.0 / 3);
        Assert.Equal((2, 2.0, 1), (fidelity.Positions, fidelity.LargestDifference, fidelity.SameChoices));
        Assert.Equal(Math.Log(3), fidelity.LargestLogit, 1e-6);
        Assert.Equal(divergence, fidelity.LargestDivergence, 1e-6);
        Assert.Equal(divergence / 2, fidelity.MeanDivergence, 1e-6);

        Fidelity both = Fidelity.Of([fidelity with { EqualTokens = 1 }, new Fidelity(6, 1, 5, 0, 0, 6, 6)]);
        Assert.Equal((8, 2.0, 5.0, 7, 7), (both.Positions, both.LargestDifference, both.LargestLogit, both.SameChoices, both.EqualTokens));
        Assert.Equal(divergence / 8, both.MeanDivergence, 1e-6);
    }

    [Fact]
    public void A_divergence_is_never_below_nothing() =>
        Gen.Select(Gen.Float[-20, 20].Array[7], Gen.Float[-20, 20].Array[7]).Sample((one, other) =>
        {
            Fidelity fidelity = Fidelity.Compare(one, other, 7);
            Assert.InRange(fidelity.MeanDivergence, -1e-9, double.MaxValue);
            Assert.InRange(fidelity.SameChoices, 0, 1);
        });

    private static GemmaModel Load(WeightFormat format) => GemmaModel.Load(Goldens.DemoPath("model"), new CpuDevice(1), format);

    private static Fidelity Measure(GemmaModel reference, GemmaModel measured) =>
        Fidelity.Measure(reference, measured, reference.Prompts.Encode([Question], addGenerationPrompt: true), Tokens, Token);
}
