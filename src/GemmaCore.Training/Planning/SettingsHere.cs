using GemmaCore.Cuda;
using GemmaCore.Models;
using GemmaCore.Tensors;
using GemmaCore.Training.Configuration;

namespace GemmaCore.Training.Planning;

/// <summary>Settings that were written for another model or card, put right for the ones at hand, with a line about each.</summary>
/// <param name="Configuration">As it will be.</param>
/// <param name="Notes">What was asked, what is done instead, and why.</param>
public sealed record SettingsHere(TrainingConfiguration Configuration, IReadOnlyList<string> Notes)
{
    /// <summary>Looks at arithmetic and at image tokens.</summary>
    /// <param name="configuration">As read.</param>
    /// <param name="model">The model, or its rehearsal.</param>
    /// <param name="device">The device, or its rehearsal.</param>
    public static SettingsHere For(TrainingConfiguration configuration, LanguageModel model, Device device)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(device);
        var notes = new List<string>();
        if (configuration.Bf16 || configuration.Fp16) configuration = WithArithmetic(configuration, device, notes);
        if (configuration.MmTokensPerImage > 0) configuration = WithImageTokens(configuration, model, notes);
        return new SettingsHere(configuration, notes);
    }

    private static TrainingConfiguration WithArithmetic(TrainingConfiguration configuration, Device device, List<string> notes)
    {
        var cuda = device as CudaDevice;
        CudaPrecision asked = configuration.Bf16 ? CudaPrecision.BFloat16 : CudaPrecision.Float16, path = cuda?.Precision ?? CudaPrecision.Float32;
        if (asked == path) return configuration;
        string name = cuda is null ? "the CPU" : $"{cuda.Card.Name} (sm_{cuda.Architecture})";
        notes.Add($"{(configuration.Bf16 ? "bf16" : "fp16")}: {name} computes in " + path switch
        {
            CudaPrecision.Float16 => "fp16 with a scale for each row, as it has no bf16; that is done instead",
            CudaPrecision.BFloat16 => "bf16, whose range needs no loss scaling; that is done instead",
            _ => "fp32; that is done instead",
        });
        return configuration with { Bf16 = path == CudaPrecision.BFloat16, Fp16 = path == CudaPrecision.Float16 };
    }

    private static TrainingConfiguration WithImageTokens(TrainingConfiguration configuration, LanguageModel model, List<string> notes)
    {
        int asked = configuration.MmTokensPerImage, side = (int)Math.Sqrt(model.PatchesPerImage);
        if (side == 0)
        {
            notes.Add($"mm_tokens_per_image: {asked} has no effect; the model has no vision tower");
            return configuration with { MmTokensPerImage = 0 };
        }

        int possible = ModelVariant.PossibleImageTokens(side, asked);
        if (possible != asked) notes.Add($"mm_tokens_per_image: {asked} tokens cannot be pooled from {side} x {side} patches; {possible} are used");
        return configuration with { MmTokensPerImage = possible };
    }
}
