using System.Collections.Concurrent;

namespace GemmaCore.Cuda;

/// <summary>
/// Kernels of one device: the text beside the program, compiled for the device's architecture (or taken from the cache), loaded as one module per file and
/// specialisation, functions by kernel index.
/// </summary>
internal sealed unsafe class KernelLibrary : IDisposable
{
    private const int MaxDynamicSharedAttribute = 8;

    // Dynamic shared memory that no kernel has to ask for: with what kernels that have any declare it is below the 48 KiB which all may have.
    private const int SharedWithoutAsking = 16 << 10;

    private readonly CudaDriver _driver;
    private readonly CudaQueue _queue;
    private readonly string _target, _device;
    private readonly KernelCache _cache;
    private readonly Lock _loading = new();
    private readonly Dictionary<(string File, string Defines), nint> _modules = [];
    private readonly ConcurrentDictionary<string, KernelText> _texts = new();
    private nint[] _functions = [];
    private int[] _sharedBytes = [];

    /// <param name="driver">The driver.</param>
    /// <param name="queue">Reports failures.</param>
    /// <param name="target">What to compile for, e.g. <c>sm_86</c>.</param>
    /// <param name="device">Name of the card, for messages.</param>
    /// <param name="cache">Compiled kernels.</param>
    public KernelLibrary(CudaDriver driver, CudaQueue queue, string target, string device, KernelCache cache)
    {
        (_driver, _queue, _target, _device) = (driver, queue, target, device);
        _cache = cache;
    }

    /// <summary>The loaded function, allowed to use that much dynamic shared memory.</summary>
    public nint Function(CudaKernel kernel, int sharedBytes)
    {
        int index = kernel.Index;
        nint[] functions = Volatile.Read(ref _functions);
        return index < functions.Length && functions[index] != 0 && sharedBytes <= Math.Max(SharedWithoutAsking, _sharedBytes[index])
            ? functions[index]
            : Load(kernel, sharedBytes);
    }

    public void Dispose()
    {
        foreach (nint module in _modules.Values) _driver.ModuleUnload(module);
        _modules.Clear();
        _functions = [];
    }

    /// <summary>The machine code (or PTX) of one file in one specialisation, without loading it.</summary>
    public byte[] Image(string file, string defines)
    {
        KernelText text = _texts.GetOrAdd(file, KernelText.Read);
        List<string> options = Options(_target, defines);
        if (Nvrtc.Instance.Reason is { } reason)
        {
            return PrebuiltKernels.Find(CudaTarget.Number(_target), text, options)
                ?? throw new CudaException($"kernels/{file} ({defines}) is not among the kernels built into this program for {_target}, and {reason}");
        }

        string key = KernelCache.Key(text, options, Nvrtc.Instance);
        if (_cache.Find(key) is { } cached) return cached;
        byte[] image = Nvrtc.Instance.Compile(text, options).Image;
        _cache.Store(key, image);
        return image;
    }

    internal static List<string> Options(string target, string defines) =>
        [$"-arch={target}", "-std=c++17", "--ptxas-options=-v", .. defines.Split(' ', StringSplitOptions.RemoveEmptyEntries)];

    private nint Load(CudaKernel kernel, int sharedBytes)
    {
        lock (_loading)
        {
            if (kernel.Index >= _functions.Length)
            {
                Array.Resize(ref _sharedBytes, kernel.Index + 32);
                Array.Resize(ref _functions, kernel.Index + 32);
            }

            nint function = _functions[kernel.Index];
            if (function == 0)
            {
                fixed (byte* name = System.Text.Encoding.UTF8.GetBytes(kernel.Entry + '\0'))
                    _queue.Check(_driver.ModuleGetFunction(&function, Module(kernel), name), "cuModuleGetFunction", kernel);
            }

            if (sharedBytes > Math.Max(SharedWithoutAsking, _sharedBytes[kernel.Index]))
            {
                _queue.Check(_driver.FuncSetAttribute(function, MaxDynamicSharedAttribute, sharedBytes), "cuFuncSetAttribute", kernel);
                _sharedBytes[kernel.Index] = sharedBytes;
            }

            Volatile.Write(ref _functions[kernel.Index], function);
            return function;
        }
    }

    private nint Module(CudaKernel kernel)
    {
        if (_modules.TryGetValue((kernel.File, kernel.Defines), out nint module)) return module;
        byte[] image = Image(kernel.File, kernel.Defines);
        fixed (byte* data = image)
        {
            int code = _driver.ModuleLoadDataEx(&module, data, 0, null, null);
            if (code is CudaResult.NoBinaryForGpu or CudaResult.InvalidPtx or CudaResult.UnsupportedPtxVersion)
                throw new CudaException(
                    $"cuModuleLoadDataEx: {_driver.Describe(code)}, kernels/{kernel.File} for {_target}, {_device}: NVRTC {Nvrtc.Instance.Version.Major}.{Nvrtc.Instance.Version.Minor} "
                    + "and the driver do not fit together; update the driver, or use an NVRTC that is not newer than it", code);
            _queue.Check(code, "cuModuleLoadDataEx", kernel);
        }

        _modules.Add((kernel.File, kernel.Defines), module);
        return module;
    }
}
