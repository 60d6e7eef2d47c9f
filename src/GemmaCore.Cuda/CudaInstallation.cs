namespace GemmaCore.Cuda;

/// <summary>What of CUDA is installed on this machine and where it was found; for diagnosis. Looking never fails.</summary>
/// <param name="DriverProblem">Why the driver cannot be used and what to do; null when it can.</param>
/// <param name="DriverPath">Path or name the driver was loaded from; empty when it was not.</param>
/// <param name="DriverVersion">Newest CUDA version the driver supports, e.g. <c>12.4</c>.</param>
/// <param name="NvrtcProblem">Why nothing can be compiled and what to install; null when it can.</param>
/// <param name="NvrtcPath">Path or name NVRTC was loaded from.</param>
/// <param name="NvrtcVersion">Its version, e.g. <c>12.4</c>.</param>
public sealed record CudaInstallation(
    string? DriverProblem, string DriverPath, string DriverVersion, string? NvrtcProblem, string NvrtcPath, string NvrtcVersion)
{
    /// <summary>Looks for both libraries.</summary>
    public static CudaInstallation Find()
    {
        CudaDriver driver = CudaDriver.Instance;
        Nvrtc compiler = Nvrtc.Instance;
        return new CudaInstallation(
            driver.Reason, driver.FoundAt, $"{driver.Version / 1000}.{driver.Version % 1000 / 10}",
            compiler.Reason, compiler.FoundAt, $"{compiler.Version.Major}.{compiler.Version.Minor}");
    }
}
