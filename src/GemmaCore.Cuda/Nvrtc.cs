using System.Runtime.InteropServices;
using System.Text;

namespace GemmaCore.Cuda;

/// <summary>What one compilation gave.</summary>
/// <param name="Image">cubin or PTX, as <see cref="CompiledKernels.IsPtx"/> says.</param>
/// <param name="IsPtx">The driver still has to translate it for the card.</param>
/// <param name="Log">The compiler's own words.</param>
internal sealed record CompiledKernels(byte[] Image, bool IsPtx, string Log);

/// <summary>NVRTC: CUDA C++ text to machine code, without a toolkit. Found when first asked for.</summary>
internal sealed unsafe class Nvrtc
{
    private static readonly Lazy<Nvrtc> Loaded = new(() => new Nvrtc(NativeSearch.Nvrtc()));

    private readonly nint _library;
    private readonly delegate* unmanaged<int*, int*, int> _version;
    private readonly delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int> _createProgram;
    private readonly delegate* unmanaged<nint*, int> _destroyProgram;
    private readonly delegate* unmanaged<nint, int, byte**, int> _compileProgram;
    private readonly delegate* unmanaged<nint, nuint*, int> _getCubinSize, _getPtxSize, _getLogSize;
    private readonly delegate* unmanaged<nint, byte*, int> _getCubin, _getPtx, _getLog;
    private readonly delegate* unmanaged<int, byte*> _getErrorString;

    private Nvrtc(NativeSearch search)
    {
        _library = search.Handle;
        FoundAt = search.FoundAt;
        if (_library == 0)
        {
            Reason = $"NVRTC, which compiles the kernels, was not found: tried {string.Join(", ", search.Tried)}; "
                + $"install it (pip package nvidia-cuda-nvrtc-cu12, or the CUDA toolkit) or set {NativeSearch.NvrtcVariable} to its path";
            return;
        }

        _version = (delegate* unmanaged<int*, int*, int>)Find("nvrtcVersion");
        _createProgram = (delegate* unmanaged<nint*, byte*, byte*, int, byte**, byte**, int>)Find("nvrtcCreateProgram");
        _destroyProgram = (delegate* unmanaged<nint*, int>)Find("nvrtcDestroyProgram");
        _compileProgram = (delegate* unmanaged<nint, int, byte**, int>)Find("nvrtcCompileProgram");
        _getCubinSize = (delegate* unmanaged<nint, nuint*, int>)Find("nvrtcGetCUBINSize");
        _getCubin = (delegate* unmanaged<nint, byte*, int>)Find("nvrtcGetCUBIN");
        _getPtxSize = (delegate* unmanaged<nint, nuint*, int>)Find("nvrtcGetPTXSize");
        _getPtx = (delegate* unmanaged<nint, byte*, int>)Find("nvrtcGetPTX");
        _getLogSize = (delegate* unmanaged<nint, nuint*, int>)Find("nvrtcGetProgramLogSize");
        _getLog = (delegate* unmanaged<nint, byte*, int>)Find("nvrtcGetProgramLog");
        _getErrorString = (delegate* unmanaged<int, byte*>)Find("nvrtcGetErrorString");
        if (Reason is not null) return;
        int major = 0, minor = 0;
        _version(&major, &minor);
        Version = (major, minor);
    }

    /// <summary>The process's NVRTC, loaded on first use.</summary>
    public static Nvrtc Instance => Loaded.Value;

    /// <summary>Path or name it was loaded from; empty when there is none.</summary>
    public string FoundAt { get; }

    /// <summary>Why nothing can be compiled, in one line with the remedy; null when it can.</summary>
    public string? Reason { get; private set; }

    /// <summary>E.g. (12, 4).</summary>
    public (int Major, int Minor) Version { get; }

    /// <summary>Newest compute capability that this version can make machine code for (kernels.md §3.2).</summary>
    public int NewestArchitecture => Version switch
    {
        ( >= 13, _) or (12, >= 8) => 120,
        _ => 90,
    };

    /// <summary>Compiles one file.</summary>
    /// <param name="name">File name for messages, e.g. <c>rms_norm.cu</c>.</param>
    /// <param name="text">Its text.</param>
    /// <param name="header">Text of <c>ptx.cuh</c>.</param>
    /// <param name="options">NVRTC's options; <c>-arch=sm_XX</c> gives a cubin, <c>-arch=compute_XX</c> PTX.</param>
    /// <exception cref="CudaException">The text does not compile (with the log), or there is no NVRTC.</exception>
    public CompiledKernels Compile(string name, string text, string header, IReadOnlyList<string> options)
    {
        if (Reason is not null) throw new CudaException(Reason);
        var strings = new List<nint>();
        nint program = 0;
        try
        {
            byte* includeText = Utf8(header, strings), includeName = Utf8("ptx.cuh", strings);
            Check(_createProgram(&program, Utf8(text, strings), Utf8(name, strings), 1, &includeText, &includeName), "nvrtcCreateProgram", name, "");
            byte** list = stackalloc byte*[options.Count];
            for (int i = 0; i < options.Count; i++) list[i] = Utf8(options[i], strings);
            int code = _compileProgram(program, options.Count, list);
            string log = Encoding.UTF8.GetString(Read(program, _getLogSize, _getLog)).TrimEnd('\0', '\n');
            Check(code, "nvrtcCompileProgram", name, $" with {string.Join(' ', options)}: {log}");
            bool isPtx = options.Any(option => option.StartsWith("-arch=compute_", StringComparison.Ordinal));
            return new CompiledKernels(isPtx ? Read(program, _getPtxSize, _getPtx) : Read(program, _getCubinSize, _getCubin), isPtx, log);
        }
        finally
        {
            if (program != 0) _destroyProgram(&program);
            foreach (nint text8 in strings) Marshal.FreeCoTaskMem(text8);
        }
    }

    private static byte[] Read(nint program, delegate* unmanaged<nint, nuint*, int> size, delegate* unmanaged<nint, byte*, int> read)
    {
        nuint bytes = 0;
        if (size(program, &bytes) != 0 || bytes == 0) return [];
        byte[] result = new byte[bytes];
        fixed (byte* to = result) read(program, to);
        return result;
    }

    private void Check(int code, string call, string name, string detail)
    {
        if (code == 0) return;
        string text = Marshal.PtrToStringUTF8((nint)_getErrorString(code)) ?? "unknown error";
        throw new CudaException($"{call}: {text} ({code}) for kernels/{name}{detail}");
    }

    private static byte* Utf8(string text, List<nint> keep)
    {
        nint pointer = Marshal.StringToCoTaskMemUTF8(text);
        keep.Add(pointer);
        return (byte*)pointer;
    }

    private nint Find(string name)
    {
        if (NativeLibrary.TryGetExport(_library, name, out nint address)) return address;
        Reason ??= $"NVRTC at {FoundAt} has no {name}: it is older than CUDA 11.2; install a newer one or set {NativeSearch.NvrtcVariable}";
        return 0;
    }
}
