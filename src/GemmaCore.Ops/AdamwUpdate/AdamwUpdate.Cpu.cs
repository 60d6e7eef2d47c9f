using System.Numerics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class AdamwUpdate
{
    private static void ApplyCpu(CpuDevice cpu, TensorView parameter, TensorView gradient, TensorView m, TensorView v, Rates rates)
    {
        var work = new Work
        {
            P = parameter.Floats, G = gradient.Floats, M = m.Floats, V = v.Floats, Elements = parameter.Shape.ElementCount, Rates = rates,
        };
        cpu.Workers.Run(ref work, ElementBlocks.Count(work.Elements));
    }

    private struct Work : IWork
    {
        public float* P, G, M, V;
        public long Elements;
        public Rates Rates;

        public readonly void Execute(int index)
        {
            (long start, int count) = ElementBlocks.Range(index, Elements);
            float* p = P + start, g = G + start, m = M + start, v = V + start;
            int i = 0;
            for (; i <= count - Lanes.Width; i += Lanes.Width)
            {
                Vector<float> gradient = Lanes.Load(g + i) * Rates.GradientScale;
                Vector<float> first = Lanes.Load(m + i) * Rates.Beta1 + gradient * (1 - Rates.Beta1);
                Vector<float> second = Lanes.Load(v + i) * Rates.Beta2 + gradient * gradient * (1 - Rates.Beta2);
                Lanes.Store(first, m + i);
                Lanes.Store(second, v + i);
                Vector<float> root = Vector.SquareRoot(second) * Rates.RootScale + new Vector<float>(Rates.Eps);
                Lanes.Store(Lanes.Load(p + i) * Rates.Keep - first / root * Rates.StepSize, p + i);
            }

            for (; i < count; i++)
            {
                float gradient = g[i] * Rates.GradientScale;
                m[i] = m[i] * Rates.Beta1 + gradient * (1 - Rates.Beta1);
                v[i] = v[i] * Rates.Beta2 + gradient * gradient * (1 - Rates.Beta2);
                p[i] = p[i] * Rates.Keep - m[i] / (MathF.Sqrt(v[i]) * Rates.RootScale + Rates.Eps) * Rates.StepSize;
            }
        }
    }
}
