namespace GemmaCore.Cuda;

/// <summary>
/// A call into the driver or NVRTC failed, or the card cannot do what was asked. The message is one line: call, code, kernel with grid, block and shared
/// bytes where one was launched, device, remedy.
/// </summary>
public sealed class CudaException : Exception
{
    /// <summary>A failure with the driver's code (a CUresult value), or 0 when no call was made.</summary>
    public CudaException(string message, int code = 0, Exception? inner = null) : base(message, inner) => Code = code;

    /// <summary>The driver's CUresult, or 0.</summary>
    public int Code { get; }

    /// <summary>The card has no memory left for the request; freeing some and asking for less may succeed.</summary>
    public bool IsOutOfMemory => Code == CudaResult.OutOfMemory;

    /// <summary>The context is lost: no later call on this device can succeed in this process.</summary>
    public bool IsDeviceLost => CudaResult.IsSticky(Code);
}

/// <summary>The CUresult values that the engine treats apart (CUDA driver API, "Data types used by CUDA driver").</summary>
internal static class CudaResult
{
    public const int Success = 0, InvalidValue = 1, OutOfMemory = 2, NoDevice = 100, NoBinaryForGpu = 209, InvalidPtx = 218, UnsupportedPtxVersion = 222, NotReady = 600;

    public const string MemoryRemedy = "use a smaller batch or shorter prompts, --quantize (load_in_4bit when training), gradient_checkpointing, or another card";

    // Errors after which the context answers every call with the same code.
    public static bool IsSticky(int code) => code is 46 or 214 or >= 700 and <= 720 and not 701 and not 704 and not 705 and not 708 and not 712 and not 713;
}
