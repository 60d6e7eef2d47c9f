namespace GemmaCore.Cuda.Tests;

/// <summary>Every place that the remedy "pip package nvidia-cuda-nvrtc-cu12, or the CUDA toolkit" may put the library, on either system.</summary>
public sealed class NvrtcFoldersTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("nvrtc").FullName;

    [Theory]
    [InlineData("VIRTUAL_ENV", "venv", "venv/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib")]
    [InlineData("CONDA_PREFIX", "conda", "conda/lib/python3.13/site-packages/nvidia/cu13/lib")]
    [InlineData("CONDA_PREFIX", "conda", "conda/lib")]
    [InlineData("", "", "home/.local/lib/python3.11/site-packages/nvidia/cuda_nvrtc/lib")]
    [InlineData("CUDA_PATH", "cuda", "cuda/lib64")]
    public void On_Linux(string variable, string value, string folder) => IsLookedInto(false, variable, value, folder);

    [Theory]
    [InlineData("VIRTUAL_ENV", "venv", "venv/Lib/site-packages/nvidia/cuda_nvrtc/bin")]
    [InlineData("VIRTUAL_ENV", "venv", "venv/Lib/site-packages/nvidia/cu13/bin/x86_64")]
    [InlineData("CONDA_PREFIX", "conda", "conda/Library/bin")]
    [InlineData("LOCALAPPDATA", "local", "local/Programs/Python/Python312/Lib/site-packages/nvidia/cuda_nvrtc/bin")]
    [InlineData("APPDATA", "roaming", "roaming/Python/Python312/site-packages/nvidia/cuda_nvrtc/bin")]
    [InlineData("CUDA_PATH", "cuda", "cuda/bin")]
    [InlineData("CUDA_PATH", "cuda", "cuda/bin/x64")]
    public void On_Windows(string variable, string value, string folder) => IsLookedInto(true, variable, value, folder);

    [Fact]
    public void The_toolkit_comes_after_what_was_installed_for_Python()
    {
        string[] all = [.. new NvrtcFolders(true, name => name is "VIRTUAL_ENV" or "CUDA_PATH" ? Path.Combine(_root, name) : null, _root).All()];
        Assert.StartsWith(Path.Combine(_root, "VIRTUAL_ENV"), all[0], StringComparison.Ordinal);
        Assert.StartsWith(Path.Combine(_root, "CUDA_PATH"), all[^1], StringComparison.Ordinal);
    }

    // The C library is loaded in any case, by a name that is a link on some systems.
    [Fact]
    public void A_library_that_was_loaded_by_name_is_told_by_its_file()
    {
        string file = NativeSearch.FileOf("libc.so.6");
        Assert.True(Path.IsPathRooted(file) && File.Exists(file), file);
        Assert.StartsWith("libc.so", Path.GetFileName(file), StringComparison.Ordinal);
        Assert.Equal("libnowhere.so.1", NativeSearch.FileOf("libnowhere.so.1"));
        Assert.Equal("/opt/lib/libcuda.so.1", NativeSearch.FileOf("/opt/lib/libcuda.so.1"));
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private void IsLookedInto(bool windows, string variable, string value, string folder)
    {
        string path = Path.Combine([_root, .. folder.Split('/')]);
        Directory.CreateDirectory(path);
        var folders = new NvrtcFolders(windows, name => name == variable ? Path.Combine(_root, value) : null, Path.Combine(_root, "home"));
        Assert.Contains(path, folders.All());
    }
}
