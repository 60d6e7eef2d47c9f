namespace GemmaCore.Inputs.Codecs.Jpeg2000;

/// <summary>Whose packet is next.</summary>
internal readonly record struct PacketPlace(int Component, int Resolution, int Precinct, int Layer);

/// <summary>The order of a tile's packets (T.800, B.12).</summary>
internal static class PacketOrder
{
    /// <summary>All packets of a stretch; those that came in an earlier one are for the caller to leave out.</summary>
    /// <param name="tile">The tile on the reference grid.</param>
    /// <param name="components">Its components.</param>
    /// <param name="change">Which packets, in which order.</param>
    public static IEnumerable<PacketPlace> Of(GridArea tile, TileComponent[] components, ProgressionChange change)
    {
        // By resolution, component and number.
        IEnumerable<PacketPlace> precincts =
            from resolution in Enumerable.Range(change.FirstResolution, Math.Max(0, change.EndResolution - change.FirstResolution))
            from component in Enumerable.Range(change.FirstComponent, Math.Max(0, change.EndComponent - change.FirstComponent))
            where resolution < components[component].Resolutions.Length
            from precinct in Enumerable.Range(0, components[component].Resolutions[resolution].Precincts.Length)
            select new PacketPlace(component, resolution, precinct, 0);
        IEnumerable<int> layers = Enumerable.Range(0, change.EndLayer);
        switch (change.Progression)
        {
            case Progression.LayerResolution:
                return from layer in layers from place in precincts select place with { Layer = layer };
            case Progression.ResolutionLayer:
                return from resolution in precincts.GroupBy(place => place.Resolution) from layer in layers from place in resolution select place with { Layer = layer };
        }

        // Sorting keeps the order of what is equal.
        IEnumerable<(PacketPlace Place, int X, int Y)> placed = precincts.Select(place => (place, Corner(tile, components[place.Component], place, across: true), Corner(tile, components[place.Component], place, across: false)));
        IEnumerable<(PacketPlace Place, int X, int Y)> sorted = change.Progression switch
        {
            Progression.ResolutionPosition => placed.OrderBy(p => p.Place.Resolution).ThenBy(p => p.Y).ThenBy(p => p.X).ThenBy(p => p.Place.Component),
            Progression.PositionComponent => placed.OrderBy(p => p.Y).ThenBy(p => p.X).ThenBy(p => p.Place.Component).ThenBy(p => p.Place.Resolution),
            _ => placed.OrderBy(p => p.Place.Component).ThenBy(p => p.Y).ThenBy(p => p.X).ThenBy(p => p.Place.Resolution),
        };
        return from place in sorted from layer in layers select place.Place with { Layer = layer };
    }

    // Where a precinct begins on the reference grid, as B.12.1.3 counts it: at the tile's edge, or where its own grid has it.
    private static int Corner(GridArea tile, TileComponent component, PacketPlace place, bool across)
    {
        Resolution resolution = component.Resolutions[place.Resolution];
        int level = component.Style.Levels - place.Resolution, bits = across ? resolution.PrecinctBits.X : resolution.PrecinctBits.Y, start = across ? resolution.Area.Left : resolution.Area.Top;
        int number = across ? place.Precinct % resolution.PrecinctsAcross : place.Precinct / resolution.PrecinctsAcross, step = across ? component.Size.StepX : component.Size.StepY;
        bool isAtEdge = number == 0 && start % (1L << bits) != 0;
        return isAtEdge ? (across ? tile.Left : tile.Top) : (int)Math.Min((((long)(start >> bits) + number) << bits << level) * step, int.MaxValue);
    }
}
