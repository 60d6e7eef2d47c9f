using GemmaCore.Cuda;
using GemmaCore.Models;
using GemmaCore.Tensors;

namespace GemmaCore.Bench;

/// <summary>Folders with random weights, each written once for all formats it is loaded in, and deleted at the end.</summary>
public sealed class RandomModels(Stopclock clock) : IDisposable
{
    private const string Memory = "/dev/shm";
    private const long MemoryRoom = 12L << 30;

    private readonly Dictionary<string, string> _folders = [];

    public string FolderOf(string preset)
    {
        if (_folders.TryGetValue(preset, out string? folder)) return folder;
        // In memory where the system has such a folder: 8.6 GB of a 4B model are then written and read in seconds.
        bool isInMemory = clock.Device is CudaDevice && !clock.Tiny && Directory.Exists(Memory) && new DriveInfo(Memory).AvailableFreeSpace > MemoryRoom;
        folder = Path.Combine(isInMemory ? Memory : Path.GetTempPath(), $"gemmacore-bench-{preset}-{Environment.ProcessId}");
        _folders.Add(preset, folder);
        RandomCheckpoint.Write(ModelPreset.Find(preset)!, folder, 1, DType.BF16);
        return folder;
    }

    public void Dispose()
    {
        foreach (string folder in _folders.Values.Where(Directory.Exists)) Directory.Delete(folder, recursive: true);
    }
}
