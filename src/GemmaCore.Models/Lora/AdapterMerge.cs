using System.Runtime.InteropServices;
using GemmaCore.Checkpoints;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Models.Lora;

/// <summary>Folds an adapter into a full checkpoint: W + s·B·A, computed in f32 and rounded once to the stored type (gemma3.md §9.6).</summary>
public static class AdapterMerge
{
    /// <summary>Writes the merged checkpoint. Tensor names and types stay those of the base; other files of the folder are the caller's to copy.</summary>
    /// <param name="model">The loaded base.</param>
    /// <param name="adapter">An adapter attached to it.</param>
    /// <param name="folder">The base's folder.</param>
    /// <param name="destination">Where the merged weights go.</param>
    public static void Write(LanguageModel model, LoraAdapter adapter, string folder, string destination)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(adapter);
        using CheckpointFolder checkpoint = CheckpointFolder.Open(folder, model.Device);
        Dictionary<string, Linear> linears = model.Linears.ToDictionary(linear => linear.Path + ".weight");
        var tensors = new List<WritableTensor>();
        foreach (SafetensorsFile file in checkpoint.Files)
        {
            foreach (StoredTensor stored in file.Header.Tensors.Values)
            {
                TensorView view = file.View(stored.Name);
                Linear? linear = WeightNames.Canonical(stored.Name) is { } name ? linears.GetValueOrDefault(name) : null;
                tensors.Add(new WritableTensor(stored.Name, view.DType, view.Shape, stream => stream.Write(Bytes(view, linear, adapter))));
            }
        }

        SafetensorsWriter.WriteCheckpoint(destination, tensors);
    }

    private static byte[] Bytes(TensorView view, Linear? linear, LoraAdapter adapter)
    {
        if (linear is null || adapter.Of(linear) is not { } change)
        {
            var copy = new byte[view.ByteCount];
            view.Device.CopyToHost(view, copy);
            return copy;
        }

        float[] merged = Merge(linear.Weight.ToFloats(), change.Weights, change.ColumnScale);
        if (Array.Exists(merged, value => !float.IsFinite(value))) throw new CheckpointException($"{linear.Path}: the merged weight is not finite");
        if (view.DType == DType.F32) return MemoryMarshal.AsBytes<float>(merged).ToArray();
        var bytes = new byte[view.ByteCount];
        Span<ushort> halves = MemoryMarshal.Cast<byte, ushort>(bytes.AsSpan());
        for (int i = 0; i < merged.Length; i++)
            halves[i] = view.DType == DType.BF16 ? BFloat16.FromSingle(merged[i]) : BitConverter.HalfToUInt16Bits((Half)merged[i]);
        return bytes;
    }

    /// <summary>W' = (m/n) ⊙ (W + s·B·A), row by row; m/n is 1 without DoRA.</summary>
    internal static float[] Merge(float[] weight, LoraWeights lora, float[]? rowScale)
    {
        float[] a = lora.A.ToFloats(), b = lora.B.ToFloats();
        int rank = lora.A.Shape[0], inputs = lora.A.Shape[1], outputs = lora.B.Shape[0];
        Parallel.For(0, outputs, row =>
        {
            var delta = new double[inputs];
            for (int r = 0; r < rank; r++)
            {
                double factor = (double)lora.Scale * b[row * rank + r];
                for (int i = 0; i < inputs; i++) delta[i] += factor * a[r * inputs + i];
            }

            for (int i = 0; i < inputs; i++)
            {
                int at = row * inputs + i;
                weight[at] = (float)((weight[at] + delta[i]) * (rowScale?[row] ?? 1));
            }
        });
        return weight;
    }
}
