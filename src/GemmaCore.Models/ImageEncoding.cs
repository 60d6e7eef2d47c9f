using GemmaCore.Models.Lora;
using GemmaCore.Tensors;

namespace GemmaCore.Models;

/// <summary>Runs pictures through a frozen vision tower, a bounded number at a time.</summary>
public static class ImageEncoding
{
    /// <summary>Patches of one pass: one MedGemma picture, or many small ones.</summary>
    private const int PatchesPerPass = 4096;

    /// <summary>Pictures that go through the tower together.</summary>
    public static int PicturesPerPass(LanguageModel model)
    {
        ArgumentNullException.ThrowIfNull(model);
        return Math.Max(1, PatchesPerPass / Math.Max(1, model.PatchesPerImage));
    }

    /// <summary>Features of all pictures.</summary>
    /// <param name="model">A model with a vision tower (or without one, when there are no pictures).</param>
    /// <param name="pixels">Normalised pictures, channel by channel, each of the size the tower takes.</param>
    /// <param name="arena">The result is taken from it; scratch memory is given back.</param>
    /// <param name="adapter">The adapter chosen for them, or null.</param>
    /// <returns>[pictures · tokens per image, D]; default when there are no pictures.</returns>
    public static TensorView Encode(LanguageModel model, IReadOnlyList<float[]> pixels, Arena arena, LoraAdapter? adapter = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(arena);
        if (pixels.Count == 0) return default;
        model.AdapterRows.SetAll(adapter);
        int tokens = model.TokensPerImage, side = model.ImageSize, perPass = PicturesPerPass(model);
        TensorView features = arena.Take(new Shape(pixels.Count * tokens, model.Layout.HiddenSize));
        for (int first = 0; first < pixels.Count; first += perPass)
        {
            int count = Math.Min(perPass, pixels.Count - first);
            Arena.Mark mark = arena.Position;
            TensorView input = Upload(pixels, first, count, side, arena);
            model.Device.Copy(model.EncodeImages(input, arena, null), features.Slice(first * tokens, count * tokens));
            arena.Rewind(mark);
        }

        return features;
    }

    /// <summary>Copies pictures [first, first + count) into a view of [count, 3, side, side].</summary>
    public static TensorView Upload(IReadOnlyList<float[]> pixels, int first, int count, int side, Arena arena)
    {
        ArgumentNullException.ThrowIfNull(pixels);
        ArgumentNullException.ThrowIfNull(arena);
        TensorView input = arena.Take(new Shape(count, 3, side, side));
        for (int i = 0; i < count && !input.Device.IsRehearsal; i++) input.Slice(i, 1).CopyFrom(pixels[first + i]);
        return input;
    }
}
