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

    private static void ApplyCpu(CpuDevice cpu, TensorView parameter, TensorView gradient, QuantizedMoment m, QuantizedMoment v, Rates rates)
    {
        float* limits = stackalloc float[2 * DynamicMap.Count];
        var work = new QuantizedWork
        {
            P = parameter.Floats, G = gradient.Floats, M = QuantizedCells.Of(m, limits), V = QuantizedCells.Of(v, limits + DynamicMap.Count),
            Elements = parameter.Shape.ElementCount, Rates = rates,
        };
        cpu.Workers.Run(ref work, ElementBlocks.Count(work.Elements));
    }

    private static void Update(float* p, float* g, float* m, float* v, int count, in Rates rates)
    {
        int i = 0;
        for (; i <= count - Lanes.Width; i += Lanes.Width)
        {
            Vector<float> gradient = Lanes.Load(g + i) * rates.GradientScale;
            Vector<float> first = Lanes.Load(m + i) * rates.Beta1 + gradient * (1 - rates.Beta1);
            Vector<float> second = Lanes.Load(v + i) * rates.Beta2 + gradient * gradient * (1 - rates.Beta2);
            Lanes.Store(first, m + i);
            Lanes.Store(second, v + i);
            Vector<float> root = Vector.SquareRoot(second) * rates.RootScale + new Vector<float>(rates.Eps);
            Lanes.Store(Lanes.Load(p + i) * rates.Keep - first / root * rates.StepSize, p + i);
        }

        for (; i < count; i++)
        {
            float gradient = g[i] * rates.GradientScale;
            m[i] = m[i] * rates.Beta1 + gradient * (1 - rates.Beta1);
            v[i] = v[i] * rates.Beta2 + gradient * gradient * (1 - rates.Beta2);
            p[i] = p[i] * rates.Keep - m[i] / (MathF.Sqrt(v[i]) * rates.RootScale + rates.Eps) * rates.StepSize;
        }
    }

    private struct Work : IWork
    {
        public float* P, G, M, V;
        public long Elements;
        public Rates Rates;

        public readonly void Execute(int index)
        {
            (long start, int count) = ElementBlocks.Range(index, Elements);
            Update(P + start, G + start, M + start, V + start, count, Rates);
        }
    }

    // A part of 16 K elements is 64 whole blocks; a block's moments exist in f32 only while it is at work.
    private struct QuantizedWork : IWork
    {
        public float* P, G;
        public QuantizedCells M, V;
        public long Elements;
        public Rates Rates;

        public readonly void Execute(int index)
        {
            (long start, int count) = ElementBlocks.Range(index, Elements);
            float* m = stackalloc float[QuantizedMoment.BlockSize], v = stackalloc float[QuantizedMoment.BlockSize];
            for (long at = start, end = start + count; at < end; at += QuantizedMoment.BlockSize)
            {
                int here = (int)Math.Min(QuantizedMoment.BlockSize, end - at);
                M.Read(at, here, m);
                V.Read(at, here, v);
                Update(P + at, G + at, m, v, here, Rates);
                M.Write(at, here, m, smallest: 0);
                V.Write(at, here, v, smallest: 1);
            }
        }
    }

    /// <summary>A moment's storage in host memory.</summary>
    private struct QuantizedCells
    {
        private byte* _codes;
        private float* _absmax, _values, _limits;

        /// <param name="moment">The storage.</param>
        /// <param name="limits">Receives the middles between neighbouring values: above one of them, the upper value is the nearer.</param>
        public static QuantizedCells Of(QuantizedMoment moment, float* limits)
        {
            float* values = moment.Map.Floats;
            for (int i = 0; i < DynamicMap.Count - 1; i++) limits[i] = (values[i] + values[i + 1]) * 0.5f;
            return new QuantizedCells { _codes = (byte*)moment.Codes.Pointer, _absmax = moment.Absmax.Floats, _values = values, _limits = limits };
        }

        public readonly void Read(long first, int count, float* target)
        {
            byte* codes = _codes + first;
            float absmax = _absmax[first / QuantizedMoment.BlockSize];
            for (int i = 0; i < count; i++) target[i] = _values[codes[i]] * absmax;
        }

        /// <summary>Rounds a block; a value above zero gets at least the code <paramref name="smallest"/>.</summary>
        public readonly void Write(long first, int count, float* source, int smallest)
        {
            byte* codes = _codes + first;
            float absmax = 0;
            for (int i = 0; i < count; i++) absmax = MathF.Max(absmax, MathF.Abs(source[i]));
            _absmax[first / QuantizedMoment.BlockSize] = absmax;
            for (int i = 0; i < count; i++)
            {
                int code = CodeOf(source[i] / absmax); // a block of zeros divides zero by zero, which no limit is below: code 0 of magnitude 0
                codes[i] = (byte)(source[i] > 0 ? Math.Max(code, smallest) : code);
            }
        }

        // How many limits lie below the value, halving without a branch: what comes out is as good as random.
        private readonly int CodeOf(float value)
        {
            int code = 0;
            for (int half = DynamicMap.Count / 2; half > 0; half /= 2) code += half * (value > _limits[code + half - 1] ? 1 : 0);
            return code;
        }
    }
}
