namespace GemmaCore.Cuda;

/// <summary>
/// One entry of one file under <c>kernels/</c> in one specialisation: a name, not code. Made once, as a static of the operation that launches it; a device
/// compiles and loads it when it is first launched there.
/// </summary>
public sealed class CudaKernel
{
    private static int _count;

    /// <summary>Names an entry.</summary>
    /// <param name="file">E.g. <c>rms_norm.cu</c>.</param>
    /// <param name="entry">E.g. <c>rms_norm_forward</c>.</param>
    /// <param name="defines">The specialisation, <c>-D</c> options separated by single spaces; must be listed in <c>kernels/specialisations.csv</c>.</param>
    public CudaKernel(string file, string entry, string defines = "")
    {
        (File, Entry, Defines) = (file, entry, defines);
        Index = Interlocked.Increment(ref _count) - 1;
    }

    /// <summary>File under <c>kernels/</c>.</summary>
    public string File { get; }

    /// <summary>Name of the function in it.</summary>
    public string Entry { get; }

    /// <summary>The specialisation.</summary>
    public string Defines { get; }

    /// <summary>Position in every device's table of loaded functions.</summary>
    internal int Index { get; }

    /// <inheritdoc/>
    public override string ToString() => Defines.Length == 0 ? Entry : $"{Entry} ({Defines})";
}
