using System.Numerics;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class Activate
{
    private static void ForwardCpu(CpuDevice cpu, TensorView x, Activation activation, TensorView y)
    {
        switch (activation)
        {
            case Activation.GeluTanh: ForwardCpu<GeluTanhLanes>(cpu, x, y); break;
            case Activation.Silu: ForwardCpu<SiluLanes>(cpu, x, y); break;
            case Activation.QuickGelu: ForwardCpu<QuickGeluLanes>(cpu, x, y); break;
            default: throw new ArgumentOutOfRangeException(nameof(activation), activation, "Activate.Forward: unknown activation");
        }
    }

    private static void ForwardCpu<TActivation>(CpuDevice cpu, TensorView x, TensorView y) where TActivation : struct, IActivationLanes
    {
        var work = new ForwardWork<TActivation> { X = x.Floats, Y = y.Floats, Elements = x.Shape.ElementCount };
        cpu.Workers.Run(ref work, ElementBlocks.Count(work.Elements));
    }

    private static void BackwardCpu(CpuDevice cpu, TensorView x, Activation activation, TensorView dY, TensorView dX, bool accumulate)
    {
        switch (activation)
        {
            case Activation.GeluTanh: BackwardCpu<GeluTanhLanes>(cpu, x, dY, dX, accumulate); break;
            case Activation.Silu: BackwardCpu<SiluLanes>(cpu, x, dY, dX, accumulate); break;
            case Activation.QuickGelu: BackwardCpu<QuickGeluLanes>(cpu, x, dY, dX, accumulate); break;
            default: throw new ArgumentOutOfRangeException(nameof(activation), activation, "Activate.Backward: unknown activation");
        }
    }

    private static void BackwardCpu<TActivation>(CpuDevice cpu, TensorView x, TensorView dY, TensorView dX, bool accumulate)
        where TActivation : struct, IActivationLanes
    {
        var work = new BackwardWork<TActivation>
        {
            X = x.Floats, DY = dY.Floats, DX = dX.Floats, Accumulate = accumulate, Elements = x.Shape.ElementCount,
        };
        cpu.Workers.Run(ref work, ElementBlocks.Count(work.Elements));
    }

    private struct ForwardWork<TActivation> : IWork where TActivation : struct, IActivationLanes
    {
        public float* X, Y;
        public long Elements;

        public readonly void Execute(int index)
        {
            (long start, int count) = ElementBlocks.Range(index, Elements);
            float* x = X + start, y = Y + start;
            int i = 0;
            for (; i <= count - Lanes.Width; i += Lanes.Width) Lanes.Store(ActivationLanes.Value<TActivation>(Lanes.Load(x + i)), y + i);
            Lanes.StoreFirst(ActivationLanes.Value<TActivation>(Lanes.LoadFirst(x + i, count - i)), y + i, count - i);
        }
    }

    private struct BackwardWork<TActivation> : IWork where TActivation : struct, IActivationLanes
    {
        public float* X, DY, DX;
        public bool Accumulate;
        public long Elements;

        public readonly void Execute(int index)
        {
            (long start, int count) = ElementBlocks.Range(index, Elements);
            float* x = X + start, dY = DY + start, dX = DX + start;
            int i = 0;
            for (; i <= count - Lanes.Width; i += Lanes.Width)
            {
                ActivationLanes.Value<TActivation>(Lanes.Load(x + i), out Vector<float> slope);
                Vector<float> d = Lanes.Load(dY + i) * slope;
                Lanes.Store(Accumulate ? Lanes.Load(dX + i) + d : d, dX + i);
            }

            int rest = count - i;
            ActivationLanes.Value<TActivation>(Lanes.LoadFirst(x + i, rest), out Vector<float> tailSlope);
            Vector<float> tail = Lanes.LoadFirst(dY + i, rest) * tailSlope;
            Lanes.StoreFirst(Accumulate ? Lanes.LoadFirst(dX + i, rest) + tail : tail, dX + i, rest);
        }
    }
}
