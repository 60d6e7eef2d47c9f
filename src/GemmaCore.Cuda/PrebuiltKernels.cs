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
            if (architecture < Number(row[3]) || architecture > Number(row[4])) continue;
            string text = KernelLibrary.ReadText(row[0]), header = KernelLibrary.ReadText("ptx.cuh");
            List<string> options = KernelLibrary.Options($"sm_{architecture}", row[1]);
            File.WriteAllBytes(Path.Combine(into, Key(text, header, options)), Nvrtc.Instance.Compile(row[0], text, header, options).Image);
            count++;
        }

        return count;

        static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
    }

    /// <summary>The embedded machine code of one text under these options; null when it was not built from exactly them.</summary>
    internal static byte[]? Find(int architecture, string text, string header, IEnumerable<string> options)
    {
        string name = $"{Prefix}{architecture}/{Key(text, header, options)}";
        if (!Names.Value.Contains(name)) return null;
        using Stream resource = Assembly.GetExecutingAssembly().GetManifestResourceStream(name)!;
        byte[] image = new byte[resource.Length];
        resource.ReadExactly(image);
        return image;
    }

    // As the cache's, but for any compiler.
    private static string Key(string text, string header, IEnumerable<string> options) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{string.Join('\n', options)}\0{header}\0{text}")));
}
