using System.Runtime.InteropServices;

namespace GemmaCore.Cuda;

/// <summary>Arithmetic of matrix products and attention on a card; everything else is fp32 on every path.</summary>
public enum CudaPrecision
{
    /// <summary>fp32 multiply-adds on the ordinary cores: cards of compute capability 7.5 without tensor cores, or asked for.</summary>
    Float32,

    /// <summary>fp16 tensor cores with power-of-two row scales and fp32 sums: compute capability 7.5 (kernels.md §1.0).</summary>
    Float16,

    /// <summary>bf16 tensor cores with fp32 sums: compute capability 8.0 and newer.</summary>
    BFloat16,
}

/// <summary>What the driver says of one card. Reading it makes no context and takes no memory of the card.</summary>
public sealed unsafe record CudaCard
{
    // CUdevice_attribute values of cuda.h.
    private const int ClockRate = 13, Multiprocessors = 16, CapabilityMajor = 75, CapabilityMinor = 76, L2CacheBytes = 38, SharedPerMultiprocessor = 81,
        SharedPerBlockOptIn = 97, MemoryPools = 115;

    private CudaCard(CudaDriver driver, int ordinal)
    {
        Ordinal = ordinal;
        int handle = 0;
        nuint bytes = 0;
        byte* name = stackalloc byte[256], uuid = stackalloc byte[16];
        Check(driver, driver.DeviceGet(&handle, ordinal), "cuDeviceGet");
        Check(driver, driver.DeviceGetName(name, 256, handle), "cuDeviceGetName");
        Check(driver, driver.DeviceGetUuid(uuid, handle), "cuDeviceGetUuid");
        Check(driver, driver.DeviceTotalMem(&bytes, handle), "cuDeviceTotalMem");
        Handle = handle;
        Name = Marshal.PtrToStringUTF8((nint)name) ?? "unknown card";
        Peak = Known.Values.FirstOrDefault(card => card.Name == Name)?.Peak;
        Uuid = Convert.ToHexStringLower(new ReadOnlySpan<byte>(uuid, 16));
        MemoryBytes = (long)bytes;
        Capability = Attribute(driver, CapabilityMajor) * 10 + Attribute(driver, CapabilityMinor);
        MultiprocessorCount = Attribute(driver, Multiprocessors);
        ClockKilohertz = Attribute(driver, ClockRate);
        L2Bytes = Attribute(driver, L2CacheBytes);
        SharedBytesPerMultiprocessor = Attribute(driver, SharedPerMultiprocessor);
        SharedBytesPerBlock = Attribute(driver, SharedPerBlockOptIn);
        HasMemoryPools = Attribute(driver, MemoryPools) != 0;
    }

    private CudaCard(string name, int capability, int multiprocessors, int sharedBytesPerBlock, long memoryBytes, CardPeak peak)
    {
        Peak = peak;
        (Name, Uuid, Capability, MultiprocessorCount, SharedBytesPerBlock) = (name, "", capability, multiprocessors, sharedBytesPerBlock);
        (MemoryBytes, SharedBytesPerMultiprocessor, HasMemoryPools) = (memoryBytes, sharedBytesPerBlock, true);
    }

    /// <summary>
    /// Cards that plans can be made for without having one: name → its data. Limits: kernels.md §0.2 and §2.1; memory, multiprocessors, peaks and caches: the vendor's published tables.
    /// </summary>
    public static IReadOnlyDictionary<string, CudaCard> Known { get; } = new Dictionary<string, CudaCard>
    {
        ["gtx1650"] = new("NVIDIA GeForce GTX 1650", 75, 14, 65536, 4L << 30, new(192, 3.0, 3.0, 1)), // with GDDR6; 128 GB/s with GDDR5
        ["t4"] = new("Tesla T4", 75, 40, 65536, 15L << 30, new(320, 65, 8.1, 4)), // 16 GB, of which error correction takes its share
        ["rtx3090"] = new("NVIDIA GeForce RTX 3090", 86, 82, 101376, 24L << 30, new(936, 71, 35.6, 6)),
        ["rtx4090"] = new("NVIDIA GeForce RTX 4090", 89, 128, 101376, 24L << 30, new(1008, 165.2, 82.6, 72)),
        ["a100"] = new("NVIDIA A100-SXM4-80GB", 80, 108, 166912, 80L << 30, new(2039, 312, 19.5, 40)),
        ["h100"] = new("NVIDIA H100 80GB HBM3", 90, 132, 232448, 80L << 30, new(3350, 989, 67, 50)),
        ["h200"] = new("NVIDIA H200", 90, 132, 232448, 141L << 30, new(4800, 989, 67, 50)),
    };

    /// <summary>What its data sheet promises; null for a card that is not among <see cref="Known"/>.</summary>
    public CardPeak? Peak { get; }

    /// <summary>N of <c>cuda:N</c>.</summary>
    public int Ordinal { get; }

    /// <summary>Product name.</summary>
    public string Name { get; }

    /// <summary>The card's own number, in hexadecimal.</summary>
    public string Uuid { get; }

    /// <summary>Compute capability times ten, e.g. 75, 86, 90.</summary>
    public int Capability { get; }

    /// <summary>Memory of the card.</summary>
    public long MemoryBytes { get; }

    /// <summary>Streaming multiprocessors.</summary>
    public int MultiprocessorCount { get; }

    /// <summary>Their highest clock.</summary>
    public int ClockKilohertz { get; }

    /// <summary>Second-level cache.</summary>
    public int L2Bytes { get; }

    /// <summary>Shared memory of a multiprocessor.</summary>
    public int SharedBytesPerMultiprocessor { get; }

    /// <summary>Most shared memory that one block may ask for.</summary>
    public int SharedBytesPerBlock { get; }

    /// <summary>Whether allocation can be ordered with a stream.</summary>
    public bool HasMemoryPools { get; }

    /// <summary>
    /// Whether matrix instructions run on tensor cores, by capability and name, or by an earlier measurement (<paramref name="cache"/>); null when that needs one.
    /// </summary>
    public bool? HasTensorCores(KernelCache cache) => TensorCores.ByName(Capability, Name) ?? TensorCores.Remembered(this, cache);

    internal int Handle { get; }

    /// <summary>Every card of this machine; empty where there is no driver.</summary>
    public static IReadOnlyList<CudaCard> All()
    {
        CudaDriver driver = CudaDriver.Instance;
        return driver.Reason is null ? [.. Enumerable.Range(0, driver.DeviceCount).Select(ordinal => new CudaCard(driver, ordinal))] : [];
    }

    /// <summary>Why <see cref="All"/> is empty, in one line; null when it is not.</summary>
    public static string? WhyNone => CudaDriver.Instance.Reason;

    /// <summary>The path this card takes when its kernels are compiled for <paramref name="architecture"/>.</summary>
    public static CudaPrecision PrecisionFor(int architecture, bool tensorCores) =>
        !tensorCores ? CudaPrecision.Float32 : architecture >= 80 ? CudaPrecision.BFloat16 : CudaPrecision.Float16;

    /// <summary>Tier of kernels.md §0.2, e.g. <c>T2</c>.</summary>
    public string Tier(bool tensorCores) => Capability >= 90 ? "T3" : Capability >= 80 ? "T2" : tensorCores ? "T1" : "T0";

    private int Attribute(CudaDriver driver, int which)
    {
        int value = 0;
        Check(driver, driver.DeviceGetAttribute(&value, which, Handle), "cuDeviceGetAttribute");
        return value;
    }

    private void Check(CudaDriver driver, int code, string call)
    {
        if (code != 0) throw new CudaException($"{call}: {driver.Describe(code)}, cuda:{Ordinal}", code);
    }
}
