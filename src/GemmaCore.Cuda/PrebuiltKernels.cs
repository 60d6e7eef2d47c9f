using System.Globalization;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;

namespace GemmaCore.Cuda;

/// <summary>
/// Kernels compiled before the program was built and embedded into it (<c>tools/prebuild_kernels.sh</c>), for machines without NVRTC. Empty in an ordinary build.
/// </summary>
public static class PrebuiltKernels
{
    private const string Prefix = "prebuilt/";

    private static readonly Lazy<HashSet<string>> Names = new(() =>
        [.. Assembly.GetExecutingAssembly().GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)).Select(name => name.Replace('\\', '/'))]);

    /// <summary>Architectures (compute capability × 10) that machine code is embedded for.</summary>
    public static IReadOnlyList<int> Architectures { get; } =
        [.. Names.Value.Select(name => int.Parse(name.Split('/')[1], CultureInfo.InvariantCulture)).Distinct().Order()];

    /// <summary>Compiles every specialisation of <c>kernels/specialisations.csv</c> for one architecture into <c>folder/architecture/</c>.</summary>
    /// <returns>Files written.</returns>
    /// <exception cref="CudaException">There is no NVRTC, or a kernel does not compile.</exception>
    public static int Write(string folder, int architecture, string specialisations)
    {
        ArgumentNullException.ThrowIfNull(specialisations);
        string into = Path.Combine(folder, architecture.ToString(CultureInfo.InvariantCulture));
        Directory.CreateDirectory(into);
        int count = 0;
        // file,defines,threads,lowest_arch,highest_arch
        foreach (string[] row in specialisations.Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(line => line.Split(',')))
        {
            if (architecture < CudaTarget.Number(row[3]) || architecture > CudaTarget.Number(row[4])) continue;
            KernelText text = KernelText.Read(row[0]);
            List<string> options = KernelLibrary.Options(CudaTarget.MachineCode(architecture), row[1]);
            File.WriteAllBytes(Path.Combine(into, Key(text, options)), Nvrtc.Instance.Compile(text, options).Image);
            count++;
        }

        return count;
    }

    /// <summary>The embedded machine code of one text under these options; null when it was not built from exactly them.</summary>
    internal static byte[]? Find(int architecture, KernelText text, IEnumerable<string> options)
    {
        string name = $"{Prefix}{architecture}/{Key(text, options)}";
        if (!Names.Value.Contains(name)) return null;
        using Stream resource = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!;
        byte[] image = new byte[resource.Length];
        resource.ReadExactly(image);
        return image;
    }

    // As the cache's, but for any compiler.
    private static string Key(KernelText text, IEnumerable<string> options) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{string.Join('\n', options)}\0{text}")));
}
