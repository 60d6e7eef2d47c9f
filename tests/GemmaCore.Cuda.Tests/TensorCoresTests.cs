using GemmaCore.Testing;

namespace GemmaCore.Cuda.Tests;

public sealed class TensorCoresTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("tensor-cores").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData(75, "NVIDIA GeForce GTX 1650", false)]
    [InlineData(75, "NVIDIA GeForce GTX 1660 Ti with Max-Q Design", false)]
    [InlineData(75, "NVIDIA T400 4GB", false)]
    [InlineData(75, "NVIDIA T1200 Laptop GPU", false)]
    [InlineData(75, "NVIDIA GeForce MX450", false)]
    [InlineData(75, "Tesla T4", true)]
    [InlineData(75, "NVIDIA GeForce RTX 2060 SUPER", true)]
    [InlineData(75, "Quadro RTX 4000", true)]
    [InlineData(75, "NVIDIA A card of tomorrow", null)]
    [InlineData(80, "NVIDIA A card of tomorrow", true)]
    public void Capability_and_name_decide_where_they_can(int capability, string name, bool? expected) => Assert.Equal(expected, TensorCores.ByName(capability, name));

    [Theory]
    [InlineData(20f, 160f, true)] // T4: 512 against 64 multiply-adds per clock
    [InlineData(20f, 80f, true)]
    [InlineData(20f, 79f, false)]
    [InlineData(640f, 160f, false)] // emulated
    [InlineData(0f, 160f, false)] // a clock that does not run proves nothing
    public void Tensor_cores_are_twice_as_fast_as_half_arithmetic(float mma, float fma, bool expected) => Assert.Equal(expected, TensorCores.FromTimes(mma, fma));

    [Theory]
    [InlineData("t4/random")]
    [InlineData("gtx1650/adversarial")]
    public void Both_loops_run_and_leave_no_temporaries(string name)
    {
        if (TestDevices.UsesRealGpu) Assert.Skip("names a simulated card");
        using DeviceLease lease = TestDevices.Lend(name);
        var device = (CudaDevice)lease.Device;
        Tensors.Arena.Mark before = device.Scratch.Position;
        (float mma, float fma) = TensorCores.Measure(device, steps: 4);
        Assert.True(float.IsFinite(mma) && float.IsFinite(fma));
        Assert.Equal(before, device.Scratch.Position);
    }

    [Fact]
    public void A_verdict_is_kept_for_the_card()
    {
        if (TestDevices.UsesRealGpu) Assert.Skip("names a simulated card");
        using DeviceLease lease = TestDevices.Lend("t4/random");
        CudaCard card = ((CudaDevice)lease.Device).Card;
        var cache = new KernelCache(Path.Combine(_folder, "cache"));
        Assert.Null(TensorCores.Remembered(card, cache));
        foreach (bool verdict in (bool[])[true, false])
        {
            TensorCores.Remember(card, cache, verdict);
            Assert.Equal(verdict, TensorCores.Remembered(card, cache));
        }

        File.WriteAllText(Directory.GetFiles(cache.Folder!).Single(), "");
        Assert.Null(TensorCores.Remembered(card, cache));
        TensorCores.Remember(card, new KernelCache("/proc/kernels"), true); // says nothing, fails nothing
        Assert.Null(TensorCores.Remembered(card, new KernelCache(null)));
    }
}
