using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

/// <summary>
/// A vision transformer's first layer: non-overlapping patches times a matrix, plus bias and positions, behind an optional class token
/// (arXiv:2010.11929). It is frozen and stands first, so there is no backward pass.
/// </summary>
public static partial class PatchEmbed
{
    /// <summary>Embeds pictures.</summary>
    /// <param name="pixels">[N, C, S, S] f32.</param>
    /// <param name="w">[D, C·p·p] f32, bf16 or f16; a patch is laid out as (channel, row, column).</param>
    /// <param name="bias">[D] f32, or default.</param>
    /// <param name="positions">[tokens, D] f32.</param>
    /// <param name="classToken">[D] f32, or default; becomes token 0 of every picture.</param>
    /// <param name="patch">p.</param>
    /// <param name="y">[N, tokens, D] f32; patches in row-major order.</param>
    /// <param name="arena">Scratch memory.</param>
    public static void Forward(
        TensorView pixels, TensorView w, TensorView bias, TensorView positions, TensorView classToken, int patch, TensorView y, Arena arena)
    {
        const string operation = "PatchEmbed.Forward";
        ArgumentNullException.ThrowIfNull(arena);
        Require.Floats(operation, "pixels", pixels);
        Require.That(pixels.Shape.Rank == 4 && pixels.Shape[2] == pixels.Shape[3] && pixels.Shape[2] % patch == 0, operation,
            $"pixels must be [N, C, S, S] with S a multiple of {patch}, got {pixels}");
        int side = pixels.Shape[2] / patch, first = classToken.IsEmpty ? 0 : 1, tokens = side * side + first, d = w.Shape[0];
        Require.Shape(operation, "positions", positions, new Shape(tokens, d));
        Require.Shape(operation, "y", y, new Shape(pixels.Shape[0], tokens, d));
        if (first == 1) Require.Shape(operation, "classToken", classToken, new Shape(d));
        Arena.Mark mark = arena.Position;
        int inputs = pixels.Shape[1] * patch * patch;
        for (int image = 0; image < pixels.Shape[0]; image++)
        {
            TensorView columns = arena.Take(new Shape(side * side, inputs)); // [patches, C·p·p]
            TensorView rows = y.Slice(image, 1).Reshape(new Shape(tokens, d));
            GatherPatches(pixels.Slice(image, 1), patch, columns);
            Matmul.Forward(columns, w, bias, rows.Slice(first, side * side), null);
            if (first == 1) pixels.Device.Copy(classToken, rows.Slice(0, 1));
            Add.Forward(rows, positions, rows, null);
            arena.Rewind(mark);
        }
    }

    // columns[patch] = the pixels of that patch, so that the embedding is a product.
    private static void GatherPatches(TensorView pixels, int patch, TensorView columns)
    {
        if (pixels.Device is CpuDevice cpu) GatherPatchesCpu(cpu, pixels, patch, columns);
        else if (pixels.Device is CudaDevice cuda) GatherPatchesCuda(cuda, pixels, patch, columns);
        else throw Require.NoSuchDevice("PatchEmbed.Forward", pixels.Device);
    }
}
