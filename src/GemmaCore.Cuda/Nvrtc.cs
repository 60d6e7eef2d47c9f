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
    private static readonly Lazy<Nvrtc> Loaded = new(() => new Nvrtc(NativeSearch.Nvrtc(CudaDriver.Instance.Version / 1000)));

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
        (FoundAt, Tried) = (search.FoundAt, search.Tried);
        if (_library == 0)
        {
            Reason = search.Refused is { } file
                ? $"{file} is there but cannot be loaded as NVRTC, which compiles the kernels: it is no library for this system; {Remedy}"
                : $"NVRTC, which compiles the kernels, was not found ({search.Searched}); {Remedy}";
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
        if (major * 10 + minor < 112)
            Reason = $"NVRTC {major}.{minor} at {FoundAt} is too old, and 11.2 or newer is needed; {Remedy}";
    }

    /// <summary>The process's NVRTC, loaded on first use.</summary>
    public static Nvrtc Instance => Loaded.Value;

    /// <summary>Path or name it was loaded from; empty when there is none.</summary>
    public string FoundAt { get; }

    /// <summary>Names and folders tried, in order.</summary>
    public IReadOnlyList<string> Tried { get; }

    /// <summary>Why nothing can be compiled, in one line with the remedy; null when it can.</summary>
    public string? Reason { get; private set; }

    /// <summary>E.g. (12, 4).</summary>
    public (int Major, int Minor) Version { get; }

    /// <summary>Newest compute capability that this version can make machine code for (kernels.md §3.2).</summary>
    public int NewestArchitecture => NewestFor(Version);

    /// <summary>Whether it knows Hopper's own instructions (<c>sm_90a</c>).</summary>
    public bool KnowsWarpgroups => Version.Major >= 12;

    /// <summary>Compiles one file.</summary>
    /// <param name="text">Its text, with the headers.</param>
    /// <param name="options">NVRTC's options; <c>-arch=sm_XX</c> gives a cubin, <c>-arch=compute_XX</c> PTX.</param>
    /// <exception cref="CudaException">The text does not compile (with the log), or there is no NVRTC.</exception>
    public CompiledKernels Compile(KernelText text, IReadOnlyList<string> options)
    {
        if (Reason is not null) throw new CudaException(Reason);
        var strings = new List<nint>();
        nint program = 0;
        try
        {
            int headers = text.Headers.Count;
            byte** texts = stackalloc byte*[headers], names = stackalloc byte*[headers], list = stackalloc byte*[options.Count];
            for (int i = 0; i < headers; i++)
            {
                names[i] = Utf8(text.Headers[i].Name, strings);
                texts[i] = Utf8(text.Headers[i].Text, strings);
            }

            Check(
                _createProgram(&program, Utf8(text.Text, strings), Utf8(text.File, strings), headers, texts, names), "nvrtcCreateProgram", text.File, "");
            for (int i = 0; i < options.Count; i++) list[i] = Utf8(options[i], strings);
            int code = _compileProgram(program, options.Count, list);
            string log = Encoding.UTF8.GetString(Read(program, _getLogSize, _getLog)).TrimEnd('\0', '\n');
            Check(code, "nvrtcCompileProgram", text.File, $" with {string.Join(' ', options)}: {log}");
            bool isPtx = options.Any(option => option.StartsWith("-arch=compute_", StringComparison.Ordinal));
            return new CompiledKernels(isPtx ? Read(program, _getPtxSize, _getPtx) : Read(program, _getCubinSize, _getCubin), isPtx, log);
        }
        finally
        {
            if (program != 0) _destroyProgram(&program);
            foreach (nint text8 in strings) Marshal.FreeCoTaskMem(text8);
        }
    }

    /// <summary>As <see cref="NewestArchitecture"/>, for any version. A newer card gets PTX of this one, which its driver translates.</summary>
    internal static int NewestFor((int Major, int Minor) version) => (version.Major * 10 + version.Minor) switch
    {
        >= 128 => 120,
        >= 118 => 90,
        >= 114 => 87,
        _ => 86,
    };

    private static string Remedy =>
        $"install it (pip package nvidia-cuda-nvrtc-cu12, or the CUDA toolkit), set {NativeSearch.NvrtcVariable} to its path, or use --device cpu";

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
        Reason ??= $"NVRTC at {FoundAt} has no {name}: it is no NVRTC of CUDA 11.2 or newer; {Remedy}";
        return 0;
    }
}
