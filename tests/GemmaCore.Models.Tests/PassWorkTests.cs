using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Models.Tests;

/// <summary>Counted by hand: two layers of D 32, F 48, N 2, K 1, H 32 (the first sees a window of 4), V 67, all in bf16.</summary>
public sealed class PassWorkTests : IDisposable
{
    // q 32·64, k and v 32·32, o 64·32, gate, up and down 32·48; twice.
    private const int Weights = 2 * (2048 + 1024 + 1024 + 2048 + (3 * 1536)), Head = 67 * 32;

    private readonly SmallModel _folder = new();
    private readonly LanguageModel _model;

    public PassWorkTests() => _model = ModelFolder.Load(_folder.Folder, CpuDevice.Host);

    public void Dispose()
    {
        _model.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void A_prompt_multiplies_every_weight_by_every_token_and_reads_it_once()
    {
        PassWork work = PassWork.OfText(_model, tokens: 6, past: 0, logitRows: 1);
        // Pairs: 1 + 2 + 3 + 4 + 4 + 4 behind the window, 21 without; two products of 2·N·H = 128 operations a pair.
        Assert.Equal((2.0 * 6 * Weights) + (2 * Head) + (2 * 128 * (18 + 21)), work.Operations);
        Assert.Equal(2.0 * (Weights + Head), work.ReadBytes);
        Assert.Equal(work.ReadBytes, work.HeldBytes);
    }

    [Theory]
    [InlineData(DType.F32, 4)]
    [InlineData(DType.BF16, 2)]
    public void A_token_reads_all_weights_and_the_keys_and_values_it_sees(DType kept, int size)
    {
        _model.KvType = kept;
        PassWork work = PassWork.OfText(_model, tokens: 1, past: 6, logitRows: 1);
        Assert.Equal((2.0 * Weights) + (2 * Head) + (2 * 128 * (4 + 7)), work.Operations);
        // A key and a value of K·H = 32 numbers for each of 3 tokens of the window and 6 of all.
        Assert.Equal((2.0 * (Weights + Head)) + (2 * 32 * size * (3 + 6)), work.ReadBytes);
    }

    [Fact]
    public void A_picture_s_patches_go_through_the_tower_and_see_each_other()
    {
        // tiny: D 144, F 288, 4 layers, 112 pixels in patches of 14.
        using CpuDevice device = CpuDevice.Rehearsal();
        using LanguageModel model = ModelFolder.Rehearse(ModelPreset.Find("tiny")!, device, new ModelVariant());
        PassWork work = PassWork.OfPicture(model);
        const double weights = 4.0 * ((4 * 144 * 144) + (2 * 144 * 288));
        Assert.Equal((2 * 64 * weights) + (4.0 * 4 * 144 * 64 * 64), work.Operations);
        Assert.Equal(2 * weights, work.ReadBytes);
        Assert.Equal(0, PassWork.OfPicture(_model).Operations);
    }
}
