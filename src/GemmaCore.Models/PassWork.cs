using GemmaCore.Models.Lora;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>
/// What a pass cannot do without: the operations of its matrix products and attention, two a multiply-add, and the bytes of weights, keys and values that it reads. Norms,
/// activations, the table of embeddings and the projector of pictures are left out, and pictures see no more than text does: with a device's peaks it is a bound on time
/// from below.
/// </summary>
/// <param name="Operations">Floating-point operations.</param>
/// <param name="ReadBytes">Bytes read, as often as they are.</param>
/// <param name="HeldBytes">The same, once each: what caches would have to hold so that nothing is read from memory.</param>
public readonly record struct PassWork(double Operations, double ReadBytes, double HeldBytes)
{
    /// <summary>One text pass through all blocks, and logits of some of its rows.</summary>
    /// <param name="model">The model or its rehearsal, adapters included.</param>
    /// <param name="tokens">New tokens of one sequence.</param>
    /// <param name="past">Tokens before them, whose keys and values are kept.</param>
    /// <param name="logitRows">Rows with logits.</param>
    public static PassWork OfText(LanguageModel model, int tokens, int past, int logitRows)
    {
        ArgumentNullException.ThrowIfNull(model);
        double operations = 2.0 * logitRows * model.Head.Shape.ElementCount, bytes = logitRows > 0 ? model.Head.ByteCount : 0;
        foreach (Linear layer in model.Linears.Where(IsText))
        {
            operations += 2.0 * tokens * (layer.Weight.Shape.ElementCount + AdapterElements(layer));
            bytes += layer.Weight.ByteCount;
        }

        foreach (int window in model.Layout.Windows)
        {
            operations += 4.0 * model.Layout.QueryHeadCount * model.Layout.HeadDim * VisiblePairs(tokens, past, window);
            bytes += 2.0 * model.Layout.KvHeadCount * model.Layout.HeadDim * model.KvType.Size() * (window == 0 ? past : Math.Min(past, window - 1));
        }

        return new PassWork(operations, bytes, bytes);
    }

    /// <summary>One picture through the vision tower; nothing where there is none.</summary>
    public static PassWork OfPicture(LanguageModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        double patches = model.PatchesPerImage, operations = 0, bytes = 0;
        foreach (Linear layer in model.Linears.Where(LoraAdapter.IsVision))
        {
            operations += 2 * patches * (layer.Weight.Shape.ElementCount + AdapterElements(layer));
            if (EndsAttention(layer)) operations += 4 * layer.InputSize * patches * patches;
            bytes += layer.Weight.ByteCount;
        }

        return new PassWork(operations, bytes, bytes);
    }

    /// <summary>True for the linear layers of the decoder's blocks.</summary>
    public static bool IsText(Linear layer)
    {
        ArgumentNullException.ThrowIfNull(layer);
        return layer.Path.StartsWith("model.language_model.", StringComparison.Ordinal);
    }

    /// <summary>True for the layer behind attention, whose inputs are all heads side by side.</summary>
    public static bool EndsAttention(Linear layer)
    {
        ArgumentNullException.ThrowIfNull(layer);
        return layer.Path.EndsWith(".o_proj", StringComparison.Ordinal) || layer.Path.EndsWith(".out_proj", StringComparison.Ordinal);
    }

    /// <summary>Elements of the low-rank matrices of a layer's adapters.</summary>
    public static double AdapterElements(Linear layer)
    {
        ArgumentNullException.ThrowIfNull(layer);
        return layer.Adapters.Sum(adapter => (double)adapter.Weights.A.Shape.ElementCount + adapter.Weights.B.Shape.ElementCount);
    }

    /// <summary>Pairs of a new token and one that it sees, itself included.</summary>
    /// <param name="tokens">New tokens.</param>
    /// <param name="past">Tokens before them.</param>
    /// <param name="window">Tokens a query sees, itself included; 0 for all.</param>
    public static double VisiblePairs(int tokens, int past, int window)
    {
        double pairs = 0;
        for (int i = 1; i <= tokens; i++) pairs += window == 0 ? past + i : Math.Min(past + i, window);
        return pairs;
    }
}
