using GemmaCore.Models;
using GemmaCore.Tensors;

namespace GemmaCore.Cli;

/// <summary>What it takes to answer in one conversation.</summary>
/// <param name="Context">Its tokens.</param>
/// <param name="WeightBytes">Weights on the device.</param>
/// <param name="CacheBytes">Keys and values.</param>
/// <param name="PeakBytes">All of it, with the activations of a prompt of that length and of one picture.</param>
/// <param name="Prompt">What reading a prompt of that length cannot do without, pictures apart.</param>
/// <param name="Token">The same of a token behind such a prompt.</param>
/// <param name="Picture">The same of a picture; nothing where the model sees none.</param>
internal sealed record AnsweringPlan(int Context, long WeightBytes, long CacheBytes, long PeakBytes, PassWork Prompt, PassWork Token, PassWork Picture)
{
    /// <summary>Rehearses the answer.</summary>
    public static AnsweringPlan Of(Func<Device> open, Func<Device, LanguageModel> load, int context, DType kvType)
    {
        using Device device = open();
        using LanguageModel model = load(device);
        model.KvType = kvType;
        long weights = device.AllocatedBytes;
        int tokens = Math.Min(context, model.Layout.MaxPositions);
        using KvCache cache = model.CreateCache(tokens);
        long keysAndValues = device.AllocatedBytes - weights;
        using var arena = new Arena(device);
        var batch = new TokenBatch();
        int[] ids = new int[tokens];
        bool shows = model.TokensPerImage > 0 && tokens > model.TokensPerImage;
        if (shows) ids.AsSpan(0, model.TokensPerImage).Fill(model.ImageTokenId);
        TensorView features = shows ? ImageEncoding.Encode(model, [new float[3 * model.ImageSize * model.ImageSize]], arena) : default;
        batch.Add(ids, model.ImageTokenId, cache);
        batch.ImageFeatures = features;
        TensorView hidden = model.Forward(batch, arena, null);
        model.Logits(hidden.Slice(tokens - 1, 1), arena.Take(new Shape(1, model.Layout.VocabularySize)));
        return new AnsweringPlan(tokens, weights, keysAndValues, device.PeakAllocatedBytes,
            PassWork.OfText(model, tokens, 0, 1), PassWork.OfText(model, 1, tokens - 1, 1), PassWork.OfPicture(model));
    }
}
