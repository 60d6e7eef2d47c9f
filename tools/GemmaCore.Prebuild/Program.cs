using System.Globalization;
using GemmaCore.Cuda;

// prebuild SPECIALISATIONS FOLDER ARCH...: compiles every kernel for these architectures with NVRTC, as tools/prebuild_kernels.sh needs it.
if (args.Length < 3)
{
    Console.Error.WriteLine("prebuild: expected SPECIALISATIONS FOLDER ARCH...");
    return 2;
}

try
{
    string specialisations = File.ReadAllText(args[0]);
    foreach (string architecture in args.Skip(2))
    {
        if (!int.TryParse(architecture, NumberStyles.None, CultureInfo.InvariantCulture, out int number) || !CudaDevice.Architectures.Contains(number))
            throw new CudaException($"{architecture} is no architecture; choose among {string.Join(", ", CudaDevice.Architectures)}");
        Console.WriteLine($"sm_{number}: {PrebuiltKernels.Write(args[1], number, specialisations)} modules");
    }

    return 0;
}
catch (Exception error) when (error is CudaException or IOException or UnauthorizedAccessException)
{
    Console.Error.WriteLine("prebuild: " + error.Message);
    return 1;
}
