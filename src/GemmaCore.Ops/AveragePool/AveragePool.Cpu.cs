using System.Numerics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class AveragePool
{
    private static void ForwardCpu(CpuDevice cpu, TensorView x, int side, int kernel, TensorView y)
    {
        cpu.Clear(y);
        Run(cpu, x, side, kernel, y, backward: false);
    }

    private static void BackwardCpu(CpuDevice cpu, TensorView dY, int side, int kernel, TensorView dX, bool accumulate)
    {
        if (!accumulate) cpu.Clear(dX);
        Run(cpu, dX, side, kernel, dY, backward: true);
    }

    private static void Run(CpuDevice cpu, TensorView grid, int side, int kernel, TensorView pooled, bool backward)
    {
        var work = new Work
        {
            Grid = grid.Floats, Pooled = pooled.Floats, Side = side, Kernel = kernel, Columns = grid.Shape[2], Backward = backward,
        };
        // One part per pooled cell: no two parts share a grid row.
        cpu.Workers.Run(ref work, pooled.Shape[0] * pooled.Shape[1]);
    }

    private struct Work : IWork
    {
        public float* Grid, Pooled;
        public int Side, Kernel, Columns;
        public bool Backward;

        public readonly void Execute(int index)
        {
            int cells = Side / Kernel, image = index / (cells * cells), cell = index % (cells * cells);
            float* pooled = Pooled + (long)index * Columns;
            for (int dy = 0; dy < Kernel; dy++)
            {
                for (int dx = 0; dx < Kernel; dx++)
                {
                    int row = (image * Side + cell / cells * Kernel + dy) * Side + cell % cells * Kernel + dx;
                    float* grid = Grid + (long)row * Columns;
                    if (Backward) AddScaled(pooled, grid);
                    else AddScaled(grid, pooled);
                }
            }
        }

        private readonly void AddScaled(float* source, float* destination)
        {
            float scale = 1f / (Kernel * Kernel);
            int i = 0;
            for (; i <= Columns - Lanes.Width; i += Lanes.Width)
                Lanes.Store(Vector.FusedMultiplyAdd(Lanes.Load(source + i), new Vector<float>(scale), Lanes.Load(destination + i)), destination + i);
            for (; i < Columns; i++) destination[i] = MathF.FusedMultiplyAdd(source[i], scale, destination[i]);
        }
    }
}
