using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class PatchEmbed
{
    private static void GatherPatchesCpu(CpuDevice cpu, TensorView pixels, int patch, TensorView columns)
    {
        var work = new Work
        {
            Pixels = pixels.Floats, Columns = columns.Floats, Channels = pixels.Shape[1], Size = pixels.Shape[2], Patch = patch,
        };
        cpu.Workers.Run(ref work, work.Size / patch);
    }

    // One part is one row of patches.
    private struct Work : IWork
    {
        public float* Pixels, Columns;
        public int Channels, Size, Patch;

        public readonly void Execute(int index)
        {
            int side = Size / Patch, inputs = Channels * Patch * Patch;
            for (int x = 0; x < side; x++)
            {
                float* column = Columns + ((long)index * side + x) * inputs;
                for (int channel = 0; channel < Channels; channel++)
                {
                    for (int ky = 0; ky < Patch; ky++)
                    {
                        float* source = Pixels + ((long)channel * Size + index * Patch + ky) * Size + x * Patch;
                        new ReadOnlySpan<float>(source, Patch).CopyTo(new Span<float>(column, Patch));
                        column += Patch;
                    }
                }
            }
        }
    }
}
