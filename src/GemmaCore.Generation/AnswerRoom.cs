using GemmaCore.Checkpoints;
using GemmaCore.Models;
using GemmaCore.Tensors;

namespace GemmaCore.Generation;

/// <summary>Whether a model and an answer have room on a card. On the CPU weights stay in the mapped files and the system pages them.</summary>
internal static class AnswerRoom
{
    // The least that an answer takes, and what one about a picture in a few sentences does.
    private const int ShortestTokens = 2, UsualTokens = 512;

    /// <summary>Refuses a model that a card cannot hold together with the shortest answer, which costs less before it is loaded than half-way, and says what leaves room for a usual one.</summary>
    /// <exception cref="CheckpointException">There is not so much memory free.</exception>
    public static void Require(string folder, Device device, ModelVariant variant)
    {
        if (device is CpuDevice) return;
        long free = device.AvailableBytes;
        (long weights, long needed) = BytesOf(folder, device, variant, _ => ShortestTokens);
        if (needed <= free) return;
        (string Options, ModelVariant Variant)[] others =
        [
            ("--quantize int8", variant with { Format = WeightFormat.Int8 }),
            ("--quantize nf4", variant with { Format = WeightFormat.Nf4 }),
            ("--quantize nf4 --quantize-head int8", variant with { Format = WeightFormat.Nf4, Tables = WeightFormat.Int8 }),
        ];
        List<(string Options, long Weights, long Bytes)> smaller = [];
        foreach ((string options, ModelVariant other) in others)
            if (TryUsual(folder, device, other) is { } usual && usual.Weights < weights) smaller.Add((options, usual.Weights, usual.Peak));
        string fits = smaller.Count == 0 ? "use "
            : smaller.Find(one => one.Bytes <= free) is { Options: not null } fitting ? $"{fitting.Options} would fit ({Size(fitting.Bytes)}), and so would "
            : $"not even {smaller[^1].Options} would fit ({Size(smaller[^1].Bytes)}); use ";
        throw new CheckpointException($"{folder}: the weights take {Size(weights)}, with the shortest answer {Size(needed)}, and {device} has {Size(free)} free; " +
            $"{fits}--device cpu, another card, or a smaller model");
    }

    // A folder that holds codes refuses to be held as others.
    private static (long Weights, long Peak)? TryUsual(string folder, Device device, ModelVariant variant)
    {
        try
        {
            return BytesOf(folder, device, variant, model => model.TokensPerImage + UsualTokens);
        }
        catch (CheckpointException)
        {
            return null;
        }
    }

    private static (long Weights, long Peak) BytesOf(string folder, Device device, ModelVariant variant, Func<LanguageModel, int> tokens)
    {
        using Device rehearsal = device.OpenRehearsal();
        using LanguageModel model = ModelFolder.Rehearse(folder, rehearsal, variant);
        long weights = rehearsal.AllocatedBytes;
        AnswerRehearsal.Run(model, Math.Min(tokens(model), model.Layout.MaxPositions));
        return (weights, rehearsal.PeakAllocatedBytes);
    }

    private static string Size(long bytes) => bytes < 100_000_000 ? $"{bytes / 1e6:F1} MB" : $"{bytes / 1e9:F1} GB";
}
