using System.Numerics;
using System.Runtime.CompilerServices;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static unsafe partial class Glu
{
    private static void ForwardCpu(CpuDevice cpu, TensorView gate, TensorView up, Activation activation, TensorView y)
    {
        switch (activation)
        {
            case Activation.GeluTanh: ForwardCpu<GeluTanhLanes>(cpu, gate, up, y); break;
            case Activation.Silu: ForwardCpu<SiluLanes>(cpu, gate, up, y); break;
            case Activation.QuickGelu: ForwardCpu<QuickGeluLanes>(cpu, gate, up, y); break;
            default: throw new ArgumentOutOfRangeException(nameof(activation), activation, "Glu.Forward: unknown activation");
        }
    }

    private static void ForwardCpu<TActivation>(CpuDevice cpu, TensorView gate, TensorView up, TensorView y)
        where TActivation : struct, IActivationLanes
    {
        var work = new ForwardWork<TActivation> { Gate = gate.Floats, Up = up.Floats, Y = y.Floats, Elements = y.Shape.ElementCount };
        cpu.Workers.Run(ref work, ElementBlocks.Count(work.Elements));
    }

    private static void BackwardCpu(
        CpuDevice cpu, TensorView gate, TensorView up, Activation activation,
        TensorView dY, TensorView dGate, bool accumulateGate, TensorView dUp, bool accumulateUp)
    {
        var operands = new BackwardOperands
        {
            Gate = gate.Floats, Up = up.Floats, DY = dY.Floats,
            DGate = dGate.IsEmpty ? null : dGate.Floats, AccumulateGate = accumulateGate,
            DUp = dUp.IsEmpty ? null : dUp.Floats, AccumulateUp = accumulateUp, Elements = dY.Shape.ElementCount,
        };
        switch (activation)
        {
            case Activation.GeluTanh: Run(cpu, new BackwardWork<GeluTanhLanes> { Operands = operands }); break;
            case Activation.Silu: Run(cpu, new BackwardWork<SiluLanes> { Operands = operands }); break;
            case Activation.QuickGelu: Run(cpu, new BackwardWork<QuickGeluLanes> { Operands = operands }); break;
            default: throw new ArgumentOutOfRangeException(nameof(activation), activation, "Glu.Backward: unknown activation");
        }

        static void Run<TActivation>(CpuDevice cpu, BackwardWork<TActivation> work) where TActivation : struct, IActivationLanes =>
            cpu.Workers.Run(ref work, ElementBlocks.Count(work.Operands.Elements));
    }

    private struct ForwardWork<TActivation> : IWork where TActivation : struct, IActivationLanes
    {
        public float* Gate, Up, Y;
        public long Elements;

        public readonly void Execute(int index)
        {
            (long start, int count) = ElementBlocks.Range(index, Elements);
            float* gate = Gate + start, up = Up + start, y = Y + start;
            int i = 0;
            for (; i <= count - Lanes.Width; i += Lanes.Width)
                Lanes.Store(ActivationLanes.Value<TActivation>(Lanes.Load(gate + i)) * Lanes.Load(up + i), y + i);
            int rest = count - i;
            Vector<float> tail = ActivationLanes.Value<TActivation>(Lanes.LoadFirst(gate + i, rest)) * Lanes.LoadFirst(up + i, rest);
            Lanes.StoreFirst(tail, y + i, rest);
        }
    }

    // dGate or dUp is null when that input wants no gradient.
    private struct BackwardOperands
    {
        public float* Gate, Up, DY, DGate, DUp;
        public bool AccumulateGate, AccumulateUp;
        public long Elements;
    }

    private struct BackwardWork<TActivation> : IWork where TActivation : struct, IActivationLanes
    {
        public BackwardOperands Operands;

        public readonly void Execute(int index)
        {
            (long start, int count) = ElementBlocks.Range(index, Operands.Elements);
            for (int i = 0; i < count; i += Lanes.Width) Step(start + i, Math.Min(Lanes.Width, count - i));
        }

        // One vector, whole (the usual case) or the first `lanes` of one.
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private readonly void Step(long i, int lanes)
        {
            Vector<float> dY = Load(Operands.DY + i, lanes);
            Vector<float> value = ActivationLanes.Value<TActivation>(Load(Operands.Gate + i, lanes), out Vector<float> slope);
            if (Operands.DGate != null) Put(dY * Load(Operands.Up + i, lanes) * slope, Operands.DGate + i, lanes, Operands.AccumulateGate);
            if (Operands.DUp != null) Put(dY * value, Operands.DUp + i, lanes, Operands.AccumulateUp);
        }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static Vector<float> Load(float* source, int lanes) =>
            lanes == Lanes.Width ? Lanes.Load(source) : Lanes.LoadFirst(source, lanes);

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        private static void Put(Vector<float> value, float* destination, int lanes, bool accumulate)
        {
            if (accumulate) value += Load(destination, lanes);
            if (lanes == Lanes.Width) Lanes.Store(value, destination);
            else Lanes.StoreFirst(value, destination, lanes);
        }
    }
}
