using GemmaCore.Tensors;
using GemmaCore.Testing;

namespace GemmaCore.Cuda.Tests;

public sealed class CudaDeviceTests
{
    private static readonly CudaKernel RmsNorm = new("rms_norm.cu", "rms_norm_forward", "-DROW_THREADS=32");

    public static TheoryData<string> Cards => [.. TestDevices.Cards()];

    [Theory]
    [MemberData(nameof(Cards))]
    public void Bytes_come_back_as_they_went(string card)
    {
        using DeviceLease lease = TestDevices.Lend(card);
        // Longer than both halves of the staging memory, and not a multiple of anything.
        byte[] sent = new byte[(9 << 20) + 7], received = new byte[sent.Length];
        new Random(1).NextBytes(sent);
        using var first = new DeviceBuffer(lease.Device, new Shape(sent.Length), DType.U8);
        using var second = new DeviceBuffer(lease.Device, new Shape(sent.Length), DType.U8);
        lease.Device.CopyFromHost(sent, first.View);
        lease.Device.Copy(first.View, second.View);
        lease.Device.Clear(first.View);
        lease.Device.CopyToHost(second.View, received);
        Assert.Equal(sent, received);
        lease.Device.CopyToHost(first.View, received);
        Assert.DoesNotContain(received, value => value != 0);
    }

    [Theory]
    [MemberData(nameof(Cards))]
    public void A_kernel_runs_with_its_parameters(string card)
    {
        using DeviceLease lease = TestDevices.Lend(card);
        var device = (CudaDevice)lease.Device;
        using DeviceBuffer x = DeviceBuffer.Of(device, new Shape(2, 4), [1, 1, 1, 1, 2, 2, -2, 2]), w = DeviceBuffer.Zeros(device, new Shape(4)), y = DeviceBuffer.Zeros(device, new Shape(2, 4));
        device.Launch(RmsNorm, new LaunchGrid(1, 128), x.View, w.View, y.View, 2, 4, 0f, 3f);
        Assert.Equal([3, 3, 3, 3, 3, 3, -3, 3], y.View.ToFloats());
    }

    [Theory]
    [MemberData(nameof(Cards))]
    public void An_operation_that_fails_leaves_no_temporaries(string card)
    {
        if (TestDevices.UsesRealGpu) Assert.Skip("only the simulator fails when told to");
        using DeviceLease lease = TestDevices.Lend(card);
        var device = (CudaDevice)lease.Device;
        Arena.Mark before = device.Scratch.Position;
        TensorView x = device.Scratch.Take(new Shape(2, 4));
        void Fails()
        {
            Simulator.FailCall(1, 1);
            Assert.Throws<CudaException>(() => device.Launch(RmsNorm, new LaunchGrid(2, 128), x, x, x, default(TensorView), 4, 0f, 3f));
        }

        Fails();
        Assert.Equal(before, device.Scratch.Position);
        // From another thread the first call is the one that makes the context current there.
        x = device.Scratch.Take(new Shape(2, 4));
        var other = new Thread(Fails);
        other.Start();
        other.Join();
        Assert.Equal(before, device.Scratch.Position);
    }

    [Theory]
    [MemberData(nameof(Cards))]
    public void A_card_without_that_much_memory_says_so_with_code_and_remedy(string card)
    {
        using DeviceLease lease = TestDevices.Lend(card);
        var error = Assert.Throws<CudaException>(() => new DeviceBuffer(lease.Device, new Shape(1 << 20, 1 << 20), DType.F32));
        Assert.True(error.IsOutOfMemory);
        foreach (string word in (string[])["CUDA_ERROR_OUT_OF_MEMORY (2)", $"{lease.Device} has no 4194304 MiB left", "MiB are free", "use a smaller batch or shorter prompts"])
            Assert.Contains(word, error.Message, StringComparison.Ordinal);
    }

    // The compile gate knows kernels/specialisations.csv; what tests meet beside it would never have been compiled for a card.
    [Theory]
    [MemberData(nameof(Cards))]
    public void A_specialisation_that_the_compile_gate_does_not_know_is_refused(string card)
    {
        if (TestDevices.UsesRealGpu) Assert.Skip("a real compiler takes any");
        using DeviceLease lease = TestDevices.Lend(card);
        var device = (CudaDevice)lease.Device;
        var kernel = new CudaKernel("rms_norm.cu", "rms_norm_forward", "-DROW_THREADS=96");
        string message = Assert.Throws<CudaException>(() => device.Launch(kernel, new LaunchGrid(1, 96), default(TensorView), default(TensorView), default(TensorView), 1, 4, 0f, 3f)).Message;
        Assert.Contains("rms_norm.cu (-DROW_THREADS=96)", message, StringComparison.Ordinal);
        Assert.Contains("specialisations.csv", message, StringComparison.Ordinal);
    }
}
