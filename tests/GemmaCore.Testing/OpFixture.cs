using System.Runtime.InteropServices;
using GemmaCore.Ops;
using GemmaCore.Tensors;

namespace GemmaCore.Testing;

/// <summary>A device, an arena and a gradient pool for one test of one operation; frees everything at the end.</summary>
public sealed class OpFixture : IDisposable
{
    private readonly List<DeviceBuffer> _buffers = [];
    private readonly Dictionary<nint, float[]> _captured = [];

    private readonly DeviceLease? _lease;

    public OpFixture(int threadCount = 2) : this("cpu", threadCount)
    {
    }

    /// <summary>On a device of <see cref="TestDevices"/>.</summary>
    public OpFixture(string device, int threadCount = 2) : this(TestDevices.Lend(device, threadCount))
    {
    }

    /// <summary>On a device of the caller's, for example one that <see cref="TestDevices.OpenCard"/> opened.</summary>
    public OpFixture(Device device)
    {
        Device = device;
        Arena = new Arena(Device, 1 << 20);
        Gradients = new GradientPool(Device);
        Tape = new Tape(Arena, Gradients, seed: 1);
    }

    private OpFixture(DeviceLease lease) : this(lease.Device) => _lease = lease;

    public Device Device { get; }

    public Arena Arena { get; }

    public GradientPool Gradients { get; }

    public Tape Tape { get; }

    public TensorView Of(Shape shape, float[] values) => Keep(DeviceBuffer.Of(Device, shape, values));

    /// <summary>The same, but starting <paramref name="shift"/> floats past an address that vectors can be read from.</summary>
    public TensorView Of(Shape shape, float[] values, int shift)
    {
        TensorView whole = Empty(new Shape(values.Length + shift));
        TensorView view = whole.Slice(shift, values.Length).Reshape(shape);
        view.CopyFrom(values);
        return view;
    }

    /// <summary>A weight as checkpoints store it: values rounded to f32, bf16 or f16.</summary>
    public TensorView Weights(Shape shape, float[] values, DType type)
    {
        if (type == DType.F32) return Of(shape, values);
        TensorView view = Keep(new DeviceBuffer(Device, shape, type));
        Func<float, ushort> round = type == DType.BF16 ? BFloat16.FromSingle : value => BitConverter.HalfToUInt16Bits((Half)value);
        Device.CopyFromHost(MemoryMarshal.AsBytes<ushort>(Array.ConvertAll(values, value => round(value))), view);
        return view;
    }

    /// <summary>Uninitialised on purpose (filled with NaN), so that an element nobody writes is seen.</summary>
    public TensorView Empty(Shape shape)
    {
        TensorView view = Keep(new DeviceBuffer(Device, shape, DType.F32));
        var nothing = new float[shape.ElementCount];
        Array.Fill(nothing, float.NaN);
        view.CopyFrom(nothing);
        return view;
    }

    /// <summary>Uninitialised, starting <paramref name="shift"/> floats past an address that vectors can be written to.</summary>
    public TensorView Empty(Shape shape, int shift) => Empty(new Shape((int)shape.ElementCount + shift)).Slice(shift, (int)shape.ElementCount).Reshape(shape);

    public TensorView Bytes(Shape shape, byte[] values, DType type = DType.U8)
    {
        TensorView view = Keep(new DeviceBuffer(Device, shape, type));
        Device.CopyFromHost(values, view);
        return view;
    }

    public TensorView Ints(params int[] values)
    {
        TensorView view = Keep(new DeviceBuffer(Device, new Shape(values.Length), DType.I32));
        Device.CopyFromHost(MemoryMarshal.AsBytes<int>(values), view);
        return view;
    }

    /// <summary>Runs a recorded operation's backward pass with the given dY and returns dX of every listed input.</summary>
    public float[][] Backward(TensorView y, float[] dY, params TensorView[] inputs)
    {
        Tape.GradientFor(y, out _).CopyFrom(dY);
        Tape.Backward();
        return Array.ConvertAll(inputs, input => _captured[input.Pointer]);
    }

    /// <summary>
    /// Marks a view as an input whose gradient the test wants; call it before the operation runs. The entry stands first on the tape, so it
    /// is replayed last and sees the finished gradient.
    /// </summary>
    public void Want(TensorView input) => Tape.Record("test_input", input, () => _captured[input.Pointer] = Tape.GradientOf(input).ToFloats());

    public void Dispose()
    {
        foreach (DeviceBuffer buffer in _buffers) buffer.Dispose();
        Gradients.Dispose();
        Arena.Dispose();
        _lease?.Dispose();
    }

    private TensorView Keep(DeviceBuffer buffer)
    {
        _buffers.Add(buffer);
        return buffer.View;
    }
}
