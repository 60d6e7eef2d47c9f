namespace GemmaCore.Cuda;

/// <summary>A native library of CUDA on this machine.</summary>
/// <param name="Problem">Why it cannot be used and what to do, in one line; null when it can.</param>
/// <param name="Path">Path or name it was loaded from; empty when it was not.</param>
/// <param name="Version">CUDA version, e.g. <c>12.4</c>; empty when unknown.</param>
/// <param name="Looked">Names and folders tried, in order; the last one is where it was found.</param>
public sealed record CudaLibrary(string? Problem, string Path, string Version, IReadOnlyList<string> Looked);

/// <summary>What of CUDA is installed on this machine and where it was found; for diagnosis. Looking never fails.</summary>
/// <param name="Driver">The GPU's driver; its version is the newest CUDA that it supports.</param>
/// <param name="Nvrtc">The compiler of the kernels.</param>
public sealed record CudaInstallation(CudaLibrary Driver, CudaLibrary Nvrtc)
{
    /// <summary>Looks for both libraries.</summary>
    public static CudaInstallation Find()
    {
        CudaDriver driver = CudaDriver.Instance;
        Nvrtc compiler = Cuda.Nvrtc.Instance;
        return new CudaInstallation(
            new CudaLibrary(driver.Reason, driver.FoundAt, driver.Version == 0 ? "" : $"{driver.Version / 1000}.{driver.Version % 1000 / 10}", driver.Tried),
            new CudaLibrary(compiler.Reason, compiler.FoundAt, compiler.Version == default ? "" : $"{compiler.Version.Major}.{compiler.Version.Minor}", compiler.Tried));
    }
}
