using System.Runtime.InteropServices;

namespace GemmaCore.Cuda;

/// <summary>
/// The subset of the CUDA driver API that the engine calls (kernels.md §3.5), resolved from the driver's library when first asked for. A machine without
/// a driver has <see cref="Reason"/> instead.
/// </summary>
internal sealed unsafe class CudaDriver
{
    // cuMemAllocAsync came with CUDA 11.2; every NVRTC that we accept needs a driver at least this new anyway.
    private const int OldestVersion = 11020;

    private static readonly Lazy<CudaDriver> Loaded = new(() => new CudaDriver(NativeSearch.Driver()));

    private readonly nint _library;

    private CudaDriver(NativeSearch search)
    {
        _library = search.Handle;
        (FoundAt, Tried) = (search.FoundAt, search.Tried);
        IsThere = _library != 0 || search.Refused is not null;
        if (_library == 0)
        {
            Reason = search.Refused is { } file
                ? $"{file} is there but cannot be loaded: it is no library for this system; set the variable to the NVIDIA driver's library, or unset it and have it looked for, or use --device cpu"
                : $"no NVIDIA driver was found ({search.Searched}); install the GPU's driver, or use --device cpu";
            return;
        }

        Init = (delegate* unmanaged<uint, int>)Find("cuInit");
        DriverGetVersion = (delegate* unmanaged<int*, int>)Find("cuDriverGetVersion");
        GetErrorName = (delegate* unmanaged<int, byte**, int>)Find("cuGetErrorName");
        GetErrorString = (delegate* unmanaged<int, byte**, int>)Find("cuGetErrorString");
        DeviceGetCount = (delegate* unmanaged<int*, int>)Find("cuDeviceGetCount");
        DeviceGet = (delegate* unmanaged<int*, int, int>)Find("cuDeviceGet");
        DeviceGetName = (delegate* unmanaged<byte*, int, int, int>)Find("cuDeviceGetName");
        DeviceGetUuid = (delegate* unmanaged<byte*, int, int>)Find("cuDeviceGetUuid");
        DeviceGetAttribute = (delegate* unmanaged<int*, int, int, int>)Find("cuDeviceGetAttribute");
        DeviceTotalMem = (delegate* unmanaged<nuint*, int, int>)Find("cuDeviceTotalMem_v2");
        DevicePrimaryCtxRetain = (delegate* unmanaged<nint*, int, int>)Find("cuDevicePrimaryCtxRetain");
        DevicePrimaryCtxRelease = (delegate* unmanaged<int, int>)Find("cuDevicePrimaryCtxRelease_v2");
        CtxSetCurrent = (delegate* unmanaged<nint, int>)Find("cuCtxSetCurrent");
        ModuleLoadDataEx = (delegate* unmanaged<nint*, byte*, uint, int*, nint*, int>)Find("cuModuleLoadDataEx");
        ModuleUnload = (delegate* unmanaged<nint, int>)Find("cuModuleUnload");
        ModuleGetFunction = (delegate* unmanaged<nint*, nint, byte*, int>)Find("cuModuleGetFunction");
        FuncSetAttribute = (delegate* unmanaged<nint, int, int, int>)Find("cuFuncSetAttribute");
        FuncGetAttribute = (delegate* unmanaged<int*, int, nint, int>)Find("cuFuncGetAttribute");
        MemGetInfo = (delegate* unmanaged<nuint*, nuint*, int>)Find("cuMemGetInfo_v2");
        MemAllocAsync = (delegate* unmanaged<nint*, nuint, nint, int>)Find("cuMemAllocAsync");
        MemFreeAsync = (delegate* unmanaged<nint, nint, int>)Find("cuMemFreeAsync");
        MemAlloc = (delegate* unmanaged<nint*, nuint, int>)Find("cuMemAlloc_v2");
        MemFree = (delegate* unmanaged<nint, int>)Find("cuMemFree_v2");
        DeviceGetDefaultMemPool = (delegate* unmanaged<nint*, int, int>)Find("cuDeviceGetDefaultMemPool");
        MemPoolSetAttribute = (delegate* unmanaged<nint, int, void*, int>)Find("cuMemPoolSetAttribute");
        MemHostAlloc = (delegate* unmanaged<nint*, nuint, uint, int>)Find("cuMemHostAlloc");
        MemFreeHost = (delegate* unmanaged<nint, int>)Find("cuMemFreeHost");
        MemcpyHtoDAsync = (delegate* unmanaged<nint, nint, nuint, nint, int>)Find("cuMemcpyHtoDAsync_v2");
        MemcpyDtoHAsync = (delegate* unmanaged<nint, nint, nuint, nint, int>)Find("cuMemcpyDtoHAsync_v2");
        MemcpyDtoDAsync = (delegate* unmanaged<nint, nint, nuint, nint, int>)Find("cuMemcpyDtoDAsync_v2");
        MemsetD8Async = (delegate* unmanaged<nint, byte, nuint, nint, int>)Find("cuMemsetD8Async");
        StreamCreate = (delegate* unmanaged<nint*, uint, int>)Find("cuStreamCreate");
        StreamDestroy = (delegate* unmanaged<nint, int>)Find("cuStreamDestroy_v2");
        StreamSynchronize = (delegate* unmanaged<nint, int>)Find("cuStreamSynchronize");
        EventCreate = (delegate* unmanaged<nint*, uint, int>)Find("cuEventCreate");
        EventDestroy = (delegate* unmanaged<nint, int>)Find("cuEventDestroy_v2");
        EventRecord = (delegate* unmanaged<nint, nint, int>)Find("cuEventRecord");
        EventSynchronize = (delegate* unmanaged<nint, int>)Find("cuEventSynchronize");
        EventElapsedTime = (delegate* unmanaged<float*, nint, nint, int>)Find("cuEventElapsedTime");
        LaunchKernel = (delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int>)Find("cuLaunchKernel");
        StreamBeginCapture = (delegate* unmanaged<nint, int, int>)Find("cuStreamBeginCapture_v2");
        StreamEndCapture = (delegate* unmanaged<nint, nint*, int>)Find("cuStreamEndCapture");
        GraphInstantiate = (delegate* unmanaged<nint*, nint, ulong, int>)Find("cuGraphInstantiateWithFlags");
        GraphLaunch = (delegate* unmanaged<nint, nint, int>)Find("cuGraphLaunch");
        GraphExecDestroy = (delegate* unmanaged<nint, int>)Find("cuGraphExecDestroy");
        GraphDestroy = (delegate* unmanaged<nint, int>)Find("cuGraphDestroy");
        if (Reason is not null) return;
        Start();
    }

    /// <summary>The process's driver, loaded on first use.</summary>
    public static CudaDriver Instance => Loaded.Value;

    /// <summary>Something was found that is a driver or should be one, usable or not.</summary>
    public bool IsThere { get; }

    /// <summary>Path or name it was loaded from; empty when there is none.</summary>
    public string FoundAt { get; }

    /// <summary>Names and folders tried, in order.</summary>
    public IReadOnlyList<string> Tried { get; }

    /// <summary>Why CUDA cannot be used, in one line with the remedy; null when it can.</summary>
    public string? Reason { get; private set; }

    /// <summary>E.g. 12040 for CUDA 12.4.</summary>
    public int Version { get; private set; }

    /// <summary>Cards in this machine.</summary>
    public int DeviceCount { get; private set; }

    // Names and parameters as in cuda.h; handles and device pointers are nint.
    public readonly delegate* unmanaged<uint, int> Init;
    public readonly delegate* unmanaged<int*, int> DriverGetVersion;
    public readonly delegate* unmanaged<int, byte**, int> GetErrorName, GetErrorString;
    public readonly delegate* unmanaged<int*, int> DeviceGetCount;
    public readonly delegate* unmanaged<int*, int, int> DeviceGet;
    public readonly delegate* unmanaged<byte*, int, int, int> DeviceGetName;
    public readonly delegate* unmanaged<byte*, int, int> DeviceGetUuid;
    public readonly delegate* unmanaged<int*, int, int, int> DeviceGetAttribute;
    public readonly delegate* unmanaged<nuint*, int, int> DeviceTotalMem;
    public readonly delegate* unmanaged<nint*, int, int> DevicePrimaryCtxRetain;
    public readonly delegate* unmanaged<int, int> DevicePrimaryCtxRelease;
    public readonly delegate* unmanaged<nint, int> CtxSetCurrent;
    public readonly delegate* unmanaged<nint*, byte*, uint, int*, nint*, int> ModuleLoadDataEx;
    public readonly delegate* unmanaged<nint, int> ModuleUnload;
    public readonly delegate* unmanaged<nint*, nint, byte*, int> ModuleGetFunction;
    public readonly delegate* unmanaged<nint, int, int, int> FuncSetAttribute;
    public readonly delegate* unmanaged<int*, int, nint, int> FuncGetAttribute;
    public readonly delegate* unmanaged<nuint*, nuint*, int> MemGetInfo;
    public readonly delegate* unmanaged<nint*, nuint, nint, int> MemAllocAsync;
    public readonly delegate* unmanaged<nint, nint, int> MemFreeAsync;
    public readonly delegate* unmanaged<nint*, nuint, int> MemAlloc;
    public readonly delegate* unmanaged<nint, int> MemFree;
    public readonly delegate* unmanaged<nint*, int, int> DeviceGetDefaultMemPool;
    public readonly delegate* unmanaged<nint, int, void*, int> MemPoolSetAttribute;
    public readonly delegate* unmanaged<nint*, nuint, uint, int> MemHostAlloc;
    public readonly delegate* unmanaged<nint, int> MemFreeHost;
    public readonly delegate* unmanaged<nint, nint, nuint, nint, int> MemcpyHtoDAsync, MemcpyDtoHAsync, MemcpyDtoDAsync;
    public readonly delegate* unmanaged<nint, byte, nuint, nint, int> MemsetD8Async;
    public readonly delegate* unmanaged<nint*, uint, int> StreamCreate;
    public readonly delegate* unmanaged<nint, int> StreamDestroy, StreamSynchronize;
    public readonly delegate* unmanaged<nint*, uint, int> EventCreate;
    public readonly delegate* unmanaged<nint, int> EventDestroy, EventSynchronize;
    public readonly delegate* unmanaged<nint, nint, int> EventRecord;
    public readonly delegate* unmanaged<float*, nint, nint, int> EventElapsedTime;
    public readonly delegate* unmanaged<nint, uint, uint, uint, uint, uint, uint, uint, nint, void**, void**, int> LaunchKernel;
    public readonly delegate* unmanaged<nint, int, int> StreamBeginCapture;
    public readonly delegate* unmanaged<nint, nint*, int> StreamEndCapture;
    public readonly delegate* unmanaged<nint*, nint, ulong, int> GraphInstantiate;
    public readonly delegate* unmanaged<nint, nint, int> GraphLaunch;
    public readonly delegate* unmanaged<nint, int> GraphExecDestroy, GraphDestroy;

    /// <summary>The code with its name and meaning, e.g. <c>CUDA_ERROR_OUT_OF_MEMORY (2): out of memory</c>.</summary>
    public string Describe(int code)
    {
        byte* name = null, text = null;
        if (_library == 0 || GetErrorName(code, &name) != 0 || name == null) return $"code {code}";
        return GetErrorString(code, &text) == 0 && text != null
            ? $"{Marshal.PtrToStringUTF8((nint)name)} ({code}): {Marshal.PtrToStringUTF8((nint)text)}"
            : $"{Marshal.PtrToStringUTF8((nint)name)} ({code})";
    }

    /// <summary>Throws where <see cref="Reason"/> says why there is no CUDA.</summary>
    public void Require()
    {
        if (Reason is not null) throw new CudaException(Reason);
    }

    private void Start()
    {
        int version = 0, count = 0;
        string call = "cuInit";
        int code = Init(0);
        if (code == 0) (call, code) = ("cuDriverGetVersion", DriverGetVersion(&version));
        Version = version;
        if (code == 0 && version < OldestVersion)
        {
            Reason = $"the NVIDIA driver at {FoundAt} supports CUDA {version / 1000}.{version % 1000 / 10}, and 11.2 or newer is needed; update the driver, or use --device cpu";
            return;
        }

        if (code == 0) (call, code) = ("cuDeviceGetCount", DeviceGetCount(&count));
        if (code == CudaResult.NoDevice || (code == 0 && count == 0)) Reason = $"the NVIDIA driver at {FoundAt} sees no GPU; use --device cpu";
        else if (code != 0) Reason = $"the NVIDIA driver at {FoundAt} does not start: {call}: {Describe(code)}; reinstall the driver, or use --device cpu";
        DeviceCount = count;
    }

    private nint Find(string name)
    {
        if (NativeLibrary.TryGetExport(_library, name, out nint address)) return address;
        Reason ??= $"the NVIDIA driver at {FoundAt} has no {name}: it is no driver of CUDA 11.2 or newer; update the driver, or use --device cpu";
        return 0;
    }
}
