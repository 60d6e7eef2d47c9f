namespace GemmaCore.Models.Tests;

/// <summary>How layers share pages, and how many pages a sequence takes.</summary>
public sealed class KvLayoutTests
{
    // Gemma 3: every sixth layer sees everything.
    [Theory]
    [InlineData(18, 3, 6)] // 270m: 3 and 15
    [InlineData(26, 4, 7)] // 1b: 4 and 22, two places of 28 empty
    [InlineData(34, 5, 7)] // 4b: 5 and 29, one place of 35 empty
    [InlineData(48, 8, 6)] // 12b: 8 and 40
    public void Layers_with_one_window_share_pages_and_few_places_are_empty(int layers, int fewest, int mostGroups)
    {
        var layout = new KvLayout([.. Enumerable.Range(1, layers).Select(layer => layer % 6 == 0 ? 0 : 1024)]);
        Assert.InRange(layout.LayersPerPage, fewest, layers);
        Assert.InRange(layout.GroupCount, 2, mostGroups);
        Assert.InRange(layout.GroupCount * layout.LayersPerPage, layers, layers / 0.875);
        var places = new HashSet<(int, int)>();
        for (int layer = 0; layer < layers; layer++)
        {
            Assert.Equal((layer + 1) % 6 == 0 ? 0 : 1024, layout.Window(layout.GroupOf(layer)));
            Assert.InRange(layout.PlaceOf(layer), 0, layout.LayersPerPage - 1);
            Assert.True(places.Add((layout.GroupOf(layer), layout.PlaceOf(layer))));
        }
    }

    [Fact]
    public void Layers_that_are_all_alike_are_one_group()
    {
        var layout = new KvLayout([0, 0, 0]);
        Assert.Equal((3, 1), (layout.LayersPerPage, layout.GroupCount));
        Assert.Equal((1, 1, 2), (layout.PagesOf(1), layout.PagesOf(16), layout.PagesOf(17)));
    }

    [Fact]
    public void A_window_bounds_the_pages_of_a_sequence()
    {
        var layout = new KvLayout([1024, 0]);
        // The last 1023 tokens and the present one may begin and end inside pages.
        Assert.Equal((65, 8192), (layout.PagesOf(0, 131072), layout.PagesOf(1, 131072)));
        Assert.Equal((4, 4), (layout.PagesOf(0, 64), layout.PagesOf(1, 64)));
        Assert.Equal((100, 1023, 2000), (layout.Visible(0, 100), layout.Visible(0, 2000), layout.Visible(1, 2000)));
    }

    [Fact]
    public void A_model_without_layers_is_refused() => Assert.Throws<ArgumentOutOfRangeException>(() => new KvLayout([]));
}
